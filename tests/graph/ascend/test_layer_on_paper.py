"""What the kernels of a layer read and write in the graph is what the page about the speed on a card computes with."""

from __future__ import annotations

import collections
import dataclasses
from pathlib import Path
from typing import Any, Callable

import pytest
import tensorflow.compat.v1 as tf

from bert_trainer.layouts import input_fn, packed
from bert_trainer.model.operations import PackedOperations
from bert_trainer.training import model_fn
from lab.bench.trainer import on_paper
from npu_bridge.estimator import npu_ops
from npu_bridge.estimator.npu_unary_ops import npu_unary_ops
from support.trainer import small_bert, small_task
from support.trainer.card_graph import recipe_of, written_out_norm

ROWS = 7  # so that no weight has as many numbers as an array, or a multiple
WIDTH = small_task.WIDTH
NO_KERNEL = ("Identity", "Reshape", "IdentityN")


class Traffic(collections.Counter):
    """What operations read and write by type, in arrays of [tokens, hidden]; on scores in [heads, width] a token."""


def count(graph: tf.Graph, names: set[str], hidden: int, heads: int) -> Traffic:
    found, tokens = Traffic(), ROWS * WIDTH
    for op in graph.get_operations():
        if op.name not in names or op.type in NO_KERNEL:
            continue
        # The sum of several gradients has no scope in its name.
        of_norm = "/LayerNorm/" in op.name or (op.type == "AddN" and "/LayerNorm/" in op.inputs[-1].op.name)
        tensors = [tensor for tensor in (*op.inputs, *op.outputs) if tensor.dtype.is_floating]
        scores = [tensor for tensor in tensors if tensor.shape.as_list()[-2:] == [WIDTH, WIDTH]]
        sizes = [tensor.shape.num_elements() for tensor in tensors if tensor not in scores]
        arrays = [size // (tokens * hidden) for size in sizes if size and size % (tokens * hidden) == 0]
        found["scores " + op.type] += sum(each.shape.num_elements() // (tokens * WIDTH * heads) for each in scores)
        found["norms" if of_norm else op.type] += sum(arrays)
        found["kernels of norms"] += of_norm and bool(arrays)
    return found


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch, data_folder: Path, tmp_path: Path) -> Callable[[], Traffic]:
    """Counts a layer between others: what a training with four has more than one with three.

    GELU and dropout are several operations on the simulation; here they are one, as on a card.
    """
    monkeypatch.setattr(npu_unary_ops, "gelu", tf.nn.elu)
    monkeypatch.setattr(npu_ops, "dropout", lambda x, *_arguments, **_options: tf.nn.relu(x))
    small = small_bert.CONFIG
    wide = dataclasses.replace(small, intermediate_size=4 * small.hidden_size)

    def with_layers(layers: int) -> Traffic:
        monkeypatch.setattr(small_bert, "CONFIG", dataclasses.replace(wide, num_hidden_layers=layers))
        folder = tmp_path / str(layers)
        folder.mkdir(exist_ok=True)
        flags = small_task.flags(small_bert.write_model(folder), data_folder, tmp_path / "output", device="npu")
        specs = input_fn.specs(packed.PackedLayout([WIDTH] * ROWS, ROWS, WIDTH))
        with tf.Graph().as_default() as graph:
            fed: dict[str, Any] = {name: tf.placeholder(spec.dtype, spec.shape) for name, spec in specs.items()}
            labels = fed.pop("labels")
            build = model_fn.for_training(recipe_of(flags), 10, 1, {name: specs[name] for name in fed})
            spec = build(fed, labels, "train")
            fetched = [spec.train_op.name, spec.loss.op.name]
            names = {node.name for node in tf.graph_util.extract_sub_graph(graph.as_graph_def(), fetched).node}
        return count(graph, names, wide.hidden_size, wide.num_attention_heads)

    def layer() -> Traffic:
        with_four = with_layers(4)
        with_four.subtract(with_layers(3))
        return with_four

    return layer


def test_what_a_layer_moves(layer: Callable[[], Traffic]) -> None:
    moved = layer()
    assert moved["BiasAdd"] + moved["BiasAddGrad"] == on_paper.BIASES
    assert moved["Elu"] + moved["EluGrad"] + 4 == on_paper.GELU  # GeluGrad reads what GELU read, too
    assert moved["Relu"] + moved["ReluGrad"] - 2 == on_paper.DROPOUTS  # its gradient reads a mask of bits instead
    assert moved["AddV2"] + moved["AddN"] == on_paper.RESIDUALS
    assert moved["Transpose"] + moved["Split"] + moved["ConcatV2"] == on_paper.HEADS
    forward = {"AddV2": 2, "Softmax": 2, "Relu": 2}  # and the scale
    assert {kind: moved["scores " + kind] for kind in forward} == forward
    assert sum(forward.values()) + 2 + 7 == on_paper.SCORES


def test_what_the_norms_of_a_layer_move_as_they_were(
    layer: Callable[[], Traffic], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PackedOperations, "norm", written_out_norm)
    moved = layer()
    assert moved["norms"] == on_paper.WRITTEN_OUT_NORMS
    assert f"25 x {moved['kernels of norms'] // 2 - 3} kernels" in on_paper.PAGE.read_text()
