"""The graph that a training on a card compiles: what CANN fuses in it, and what it would not compute on the card."""

from __future__ import annotations

import collections
import dataclasses
import re
from pathlib import Path
from typing import Any, Callable, NamedTuple

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.contrib import layers

from bert_trainer.layouts import input_fn, packed
from bert_trainer.model.operations import LAYER_NORM_EPSILON, Norm, PackedOperations
from bert_trainer.training import model_fn
from bert_trainer.training.model_fn import INFERENCE, Recipe
from support.trainer import small_bert, small_task
from support.trainer.card_graph import recipe_of, written_out_norm
from support.trainer.places import PROJECT

README = PROJECT / "trainer_image" / "README.md"
NORM_OF_ANY = re.compile(r"/LayerNorm/(moments|batchnorm)")  # and its gradient
NORM = re.compile(r"(.*/LayerNorm)/(moments|batchnorm)(/.*)?$")


class Built(NamedTuple):
    """A training graph with inference in it, and what the Estimator is told of it."""

    graph: tf.Graph
    spec: Any


@pytest.fixture
def recipe(model_folder: Path, data_folder: Path, tmp_path: Path) -> Callable[..., Recipe]:
    """What the graph of a run on a card is built from."""
    return lambda **changes: recipe_of(
        small_task.flags(model_folder, data_folder, tmp_path / "output", device="npu", **changes)
    )


@pytest.fixture
def build(recipe: Callable[..., Recipe]) -> Callable[..., Built]:
    """Builds the training graph of a run, as the Estimator does."""

    def build(**changes: Any) -> Built:
        made = recipe(**changes)
        estimator = made.device.estimator(lambda features: features, made.config)
        specs = input_fn.specs(packed.PackedLayout([small_task.WIDTH] * 8, 8, small_task.WIDTH))
        with tf.Graph().as_default() as graph:
            tf.set_random_seed(estimator.config.tf_random_seed)
            fed = {name: tf.placeholder(spec.dtype, spec.shape, "fed_" + name) for name, spec in specs.items()}
            labels = fed.pop("labels")
            spec = model_fn.for_training(made, 10, 1, {name: specs[name] for name in fed})(fed, labels, "train")
        return Built(graph, spec)

    return build


@pytest.fixture
def graph(build: Callable[..., Built]) -> tf.Graph:
    return build().graph


def published(rows: int, hidden: int) -> tf.Graph:
    """A norm of tf.contrib.layers.layer_norm, and its gradient."""
    with tf.Graph().as_default() as built:
        x = tf.get_variable("x", [rows, hidden])
        y = layers.layer_norm(inputs=x, begin_norm_axis=-1, begin_params_axis=-1, scope="bert/LayerNorm")
        tf.train.GradientDescentOptimizer(1.0).compute_gradients(tf.reduce_sum(tf.square(y)))
    return built


def shape_of(operations: list[tf.Operation], scope: str) -> list[tuple[str, str, list[str]]]:
    """Each node's name below the scope, its type, and its inputs; inference shares the variables of training."""

    def short(name: str) -> str:
        variable = re.search(r"LayerNorm/((gamma|beta)/read:0)$", name)
        if variable:
            return variable.group(1)
        return name[len(scope) + 1 :] if name.startswith(scope + "/") else "elsewhere"

    return sorted((short(op.name), op.type, [short(tensor.name) for tensor in op.inputs]) for op in operations)


def norms_of(graph: tf.Graph, prefix: str = "") -> dict[str, list[tf.Operation]]:
    """The operations of each norm by its scope, `moments` and `batchnorm` alone; with a prefix, the gradients'."""
    found = collections.defaultdict(list)
    for op in graph.get_operations():
        match = NORM.match(op.name)
        if match and match.group(1).startswith(prefix) and ("gradients" in prefix) == op.name.startswith("gradients"):
            found[match.group(1)].append(op)
    return found


def assert_contrib_s(norms: dict[str, list[tf.Operation]]) -> None:
    assert len(norms) == 2 * small_bert.CONFIG.num_hidden_layers + 1
    ((scope, operations),) = norms_of(published(4, 8)).items()
    expected = shape_of(operations, scope)
    assert {kind for _, kind, _ in expected} >= {"Mean", "SquaredDifference", "StopGradient", "Rsqrt"}
    for scope, operations in norms.items():
        assert shape_of(operations, scope) == expected, scope


def test_every_norm_of_a_graph_for_inference_alone_has_them_too(recipe: Callable[..., Recipe]) -> None:
    """As predictions have it, and the evaluation of a run that was stopped before it."""
    specs = input_fn.specs(packed.PackedLayout([small_task.WIDTH] * 8, 8, small_task.WIDTH))
    with tf.Graph().as_default() as graph:
        fed = {name: tf.placeholder(spec.dtype, spec.shape) for name, spec in specs.items()}
        model_fn.for_inference(recipe())(fed, "infer")
    assert_contrib_s(norms_of(graph))


@pytest.mark.parametrize("where", ["", INFERENCE])
def test_every_norm_has_contrib_s_nodes_and_scopes(graph: tf.Graph, where: str) -> None:
    """ScopeLayerNormPass looks for the scopes `moments` and `batchnorm` and for what stands in them."""
    norms = norms_of(graph, where)
    if not where:
        norms = {scope: ops for scope, ops in norms.items() if not scope.startswith(INFERENCE)}
    assert_contrib_s(norms)


def test_every_norm_s_gradient_has_contrib_s_nodes_and_scopes(graph: tf.Graph) -> None:
    """ScopeLayerNormGradPass looks for them. (TensorFlow makes their arithmetic on shapes once a graph.)"""

    def kinds(operations: list[tf.Operation]) -> dict[str, int]:
        return collections.Counter(op.type for op in operations if [out.dtype for out in op.outputs] == [tf.float32])

    ((_, expected),) = norms_of(published(4, 8), "gradients").items()
    norms = norms_of(graph, "gradients")
    assert len(norms) == 2 * small_bert.CONFIG.num_hidden_layers + 1
    for scope, operations in norms.items():
        assert kinds(operations) == kinds(expected), scope


def test_a_norm_has_contrib_s_values_and_gradients() -> None:
    random = np.random.RandomState(1)
    x, dy = (random.randn(7, 24).astype(np.float32) for _ in range(2))
    given = [random.randn(24).astype(np.float32) for _ in range(2)]
    results = []
    for ours in (True, False):
        with tf.Graph().as_default(), tf.Session() as session:
            inputs = tf.constant(x)
            if ours:
                gamma, beta = (tf.get_variable(name, initializer=value) for name, value in zip("gb", given))
                operations = PackedOperations(lambda t: t, lambda t, _rate: t)
                y = operations.norm(inputs, Norm(gamma, beta, "LayerNorm/"))
            else:
                y = layers.layer_norm(inputs=inputs, begin_norm_axis=-1, begin_params_axis=-1)
                beta, gamma = (
                    next(each for each in tf.trainable_variables() if name in each.op.name)
                    for name in ("beta", "gamma")
                )
            session.run(tf.global_variables_initializer())
            if not ours:
                gamma.load(given[0], session)
                beta.load(given[1], session)
            results.append(session.run([y, *tf.gradients(y, [inputs, gamma, beta], tf.constant(dy))]))
    for mine, theirs in zip(*results):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
    assert LAYER_NORM_EPSILON == 1e-12  # contrib's


def step_of(built: Built) -> dict[str, str]:
    """The types of the operations of a step, by their names."""
    step = [built.spec.train_op.name, built.spec.loss.op.name]
    return {node.name: node.op for node in tf.graph_util.extract_sub_graph(built.graph.as_graph_def(), step).node}


def test_the_page_counts_the_operations_of_a_step_of_base(
    build: Callable[..., Built], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They depend on the number of layers alone."""
    layers_of_base = dataclasses.replace(small_bert.CONFIG, num_hidden_layers=12)
    monkeypatch.setattr(small_bert, "CONFIG", layers_of_base)
    (tmp_path / "base").mkdir()
    model = small_bert.write_model(tmp_path / "base")
    step = step_of(build(model_path=model))
    monkeypatch.setattr(PackedOperations, "norm", written_out_norm)
    before, now = (collections.Counter(kinds.values()) for kinds in (step_of(build(model_path=model)), step))
    fused = collections.Counter(kind for name, kind in step.items() if NORM_OF_ANY.search(name))
    changed = sorted(kind for kind in before | now if before[kind] != now[kind])
    columns = (before, now, fused)
    counts = {f"`{kind}`": [column[kind] for column in columns] for kind in changed}
    unchanged = [sum(column.values()) - sum(column[kind] for kind in changed) for column in columns]
    counts["all types that did not change"] = unchanged
    counts["all"] = [sum(column.values()) for column in columns]
    expected = [" | ".join(map(str, [kind, *numbers])) for kind, numbers in counts.items()]
    _, _, table = README.read_text().partition("| type | before | now | of these in norms that fuse |\n")
    assert [line.strip("| ") for line in table.partition("\n\n")[0].splitlines()[1:]] == expected


class Place(NamedTuple):
    """An operation with 64-bit integers."""

    kind: str
    name: str


def test_no_64_bit_integers_are_computed_with_but_the_global_step_s(graph: tf.Graph) -> None:
    """They run on the card's AICPU, each step: of the warm-up's comparison, for one."""
    wide = {
        Place(op.type, op.name)
        for op in graph.get_operations()
        if any(tensor.dtype.base_dtype == tf.int64 for tensor in op.inputs)
        and op.type not in ("Assign", "AssignAdd", "Cast", "Identity", "IsVariableInitialized")
    }
    assert wide == set()


def test_an_update_takes_the_variable_itself_and_in_the_order_of_control_edges(graph: tf.Graph) -> None:
    """Whether the compiler follows a variable through one operation into the next is not known without a card."""
    updates = [op for op in graph.get_operations() if op.type in ("ApplyAdam", "ApplyGradientDescent")]
    assert {op.inputs[0].op.type for op in updates} == {"VariableV2"}
    adams = {op.inputs[0].op.name: op for op in updates if op.type == "ApplyAdam"}
    decays = [op for op in updates if op.type == "ApplyGradientDescent"]
    assert len(adams) > len(decays) > 0
    for decay in decays:
        assert decay in adams[decay.inputs[0].op.name].control_inputs
        assert decay.control_inputs  # on the gradient, which reads the weights before


def test_no_division_of_integers_is_left_to_the_card(graph: tf.Graph) -> None:
    """The row of a pair is fed, and what TensorFlow computes of shapes alone folds away."""
    divisions = [op for op in graph.get_operations() if op.type in ("FloorDiv", "FloorMod")]
    for op in divisions:
        assert constant(op), op.name


def constant(op: tf.Operation) -> bool:
    """Whether it can be computed before the graph runs."""
    return op.type == "Const" or (bool(op.inputs) and all(constant(tensor.op) for tensor in op.inputs))


@pytest.mark.parametrize("changes", [{}, {"reinit_layers": 1}])
def test_every_seed_has_the_same_graph(build: Callable[..., Built], changes: dict[str, Any]) -> None:
    """So several seeds can share what was compiled for one."""
    first, second = (str(build(seed=seed, **changes).graph.as_graph_def()) for seed in (1, 2))  # a NaN is like another
    assert first == second


@pytest.mark.parametrize("layers", [0, 1])
def test_new_layers_are_drawn_on_the_host_by_the_seed(build: Callable[..., Built], layers: int) -> None:
    values = []
    for seed in (1, 1, 2):
        built = build(seed=seed, reinit_layers=layers)
        with built.graph.as_default(), tf.Session() as session:
            scaffold = built.spec.scaffold.finalize()
            session.run(scaffold.init_op)
            scaffold.init_fn(session)
            values.append({variable.op.name: session.run(variable) for variable in tf.trainable_variables()})
    first, again, other = values
    assert all((first[name] == again[name]).all() for name in first)
    drawn = {name for name in first if (first[name] != other[name]).any()}
    renewed = {name for name in first if name.endswith("/kernel") and ("layer_1" in name or "pooler" in name)}
    assert drawn == {"output_weights"} | (renewed if layers else set())
    for name in drawn:
        assert np.abs(first[name]).max() <= 0.04
        assert first[name].std() == pytest.approx(0.0176, rel=0.2)  # 0.02, without what is beyond two of it
