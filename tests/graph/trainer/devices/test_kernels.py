"""The fused kernels and their gradients against the same computation from TensorFlow's own operations."""

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from bert import modeling as reference

from bert_trainer.devices import kernels
from bert_trainer.devices.cpu import CpuDevice
from bert_trainer.errors import BadConfigError
from bert_trainer.model.operations import Norm, gelu

SEED = [3, 5]
OFFSETS = np.array([0, 5, 5, 17, 37], np.int32)  # the second pair is empty
TOKENS, HIDDEN, HEADS = 37, 24, 3


def random(*shape: int) -> np.ndarray:
    return np.random.RandomState(sum(shape)).normal(size=shape).astype(np.float32)


def assert_same(
    fused: Callable[..., tf.Tensor], plain: Callable[..., tf.Tensor], *inputs: np.ndarray, tolerance: float = 2e-6
) -> None:
    """Compares the outputs, and the gradients of a weighted sum of them, each against its largest element."""

    def run(function: Callable[..., tf.Tensor]) -> List[np.ndarray]:
        with tf.Graph().as_default(), tf.Session() as session:
            tensors = [tf.constant(array) for array in inputs]
            output = function(*tensors)
            weights = random(*output.shape.as_list())
            return session.run([output, *tf.gradients(output * weights, tensors)])

    for one, other in zip(run(fused), run(plain)):
        scale = np.abs(other).max()
        np.testing.assert_allclose(one / scale, other / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_add_norm(rate: float) -> None:
    library = kernels.load()

    def plain(x: tf.Tensor, bias: tf.Tensor, residual: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
        return kernels.layer_norm(residual + library.bert_dropout(x + bias, SEED, rate=rate), Norm(gamma, beta, ""))

    def fused(*inputs: tf.Tensor) -> tf.Tensor:
        return library.bert_add_norm(*inputs, SEED, rate=rate).y

    vectors = [random(HIDDEN) + shift for shift in (0, 1, 2)]
    for tokens in (1, 64, 130):  # sums go over blocks of 64 tokens
        x, residual = random(tokens, HIDDEN), random(HIDDEN, tokens).T.copy()
        assert_same(fused, plain, x, vectors[0], residual, *vectors[1:])


def test_bias_gelu() -> None:
    x = np.linspace(-9, 9, TOKENS * HIDDEN, dtype=np.float32).reshape(TOKENS, HIDDEN)
    assert_same(kernels.load().bert_bias_gelu, lambda x, bias: reference.gelu(x + bias), x, random(HIDDEN))


def test_gelu_without_the_library_is_the_reference_s() -> None:
    assert_same(gelu, reference.gelu, np.linspace(-6, 6, 1001, dtype=np.float32))


def attention_factors(query_offsets: np.ndarray, rate: float) -> Dict[Tuple[int, int], tf.Tensor]:
    """Returns (pair, head) -> [queries, tokens] dropout factors: the kernel draws them pair by pair, head by head."""
    shapes = {
        (pair, head): (np.diff(query_offsets)[pair], np.diff(OFFSETS)[pair])
        for pair, head in itertools.product(range(len(OFFSETS) - 1), range(HEADS))
    }
    sizes = [rows * columns for rows, columns in shapes.values()]
    drawn = kernels.load().bert_dropout(tf.ones([sum(sizes)]), SEED, rate=rate)
    return {key: tf.reshape(part, shapes[key]) for key, part in zip(shapes, tf.split(drawn, sizes))}


@pytest.mark.parametrize("rate", [0.0, 0.4])
@pytest.mark.parametrize("query_offsets", [OFFSETS, np.array([0, 1, 1, 2, 3], np.int32)], ids=["tokens", "[CLS]"])
def test_attention(query_offsets: np.ndarray, rate: float) -> None:
    def plain(query: tf.Tensor, query_bias: tf.Tensor, key_value: tf.Tensor, key_value_bias: tf.Tensor) -> tf.Tensor:
        queries, (keys, values) = query + query_bias, tf.split(key_value + key_value_bias, 2, axis=1)
        factors = attention_factors(query_offsets, rate)
        rows = []
        for pair in range(len(OFFSETS) - 1):
            asking, asked = slice(*query_offsets[pair : pair + 2]), slice(*OFFSETS[pair : pair + 2])
            columns = []
            for head in range(HEADS):
                part = slice(head * HIDDEN // HEADS, (head + 1) * HIDDEN // HEADS)
                scores = tf.matmul(queries[asking, part], keys[asked, part], transpose_b=True)
                weights = tf.nn.softmax(scores / np.sqrt(HIDDEN / HEADS)) * factors[pair, head]
                columns.append(tf.matmul(weights, values[asked, part]))
            rows.append(tf.concat(columns, axis=1))
        return tf.concat(rows, axis=0)

    def fused(*inputs: tf.Tensor) -> tf.Tensor:
        return kernels.load().bert_attention(*inputs, query_offsets, OFFSETS, SEED, heads=HEADS, rate=rate).context

    shapes = [(query_offsets[-1], HIDDEN), (HIDDEN,), (TOKENS, 2 * HIDDEN), (2 * HIDDEN,)]
    assert_same(fused, plain, *(random(*shape) for shape in shapes), tolerance=1e-5)


@pytest.mark.parametrize(
    ("query_offsets", "offsets"),
    [
        ([0, 5, 4], [0, 5, 6]),
        ([0, 5, 5], [0, 5, 6]),
        ([0, 5, 6], [1, 5, 6]),
        ([0, 5, 6], [0, 7, 6]),
        ([0, 6], [0, 5, 6]),
        ([], []),
    ],
)
def test_attention_refuses_offsets_that_lead_outside(query_offsets: List[int], offsets: List[int]) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        arrays = (tf.placeholder_with_default(np.array(each, np.int32), [None]) for each in (query_offsets, offsets))
        inputs = [tf.constant(random(*shape)) for shape in ((6, 4), (4,), (6, 8), (8,))]
        output = kernels.load().bert_attention(*inputs, *arrays, SEED, heads=2, rate=0.0).context
        with pytest.raises(tf.errors.InvalidArgumentError, match="do not divide 6 tokens and 6 queries"):
            session.run(output)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("bert_bias_gelu", [(3, 4), (5,)]),
        ("bert_bias_gelu", [(4,), (4,)]),
        ("bert_add_norm", [(3, 4), (4,), (3, 4), (4,), (5,)]),
        ("bert_add_norm", [(3, 4), (4,), (2, 4), (4,), (4,)]),
        ("bert_attention", [(3, 4), (4,), (3, 7), (7,)]),
        ("bert_attention", [(3, 4), (4,), (3, 8), (4,)]),
        ("bert_attention", [(3, 5), (5,), (3, 10), (10,)]),
    ],
)
def test_shapes_that_do_not_fit_are_refused_in_the_graph(name: str, shapes: List[Tuple[int, ...]]) -> None:
    more = {"bert_bias_gelu": [], "bert_add_norm": [SEED], "bert_attention": [[0, 3], [0, 3], SEED]}[name]
    settings = {"bert_bias_gelu": {}, "bert_add_norm": {"rate": 0.0}, "bert_attention": {"rate": 0.0, "heads": 2}}[name]
    with tf.Graph().as_default(), pytest.raises(ValueError, match=r"must be|evenly divisible"):
        getattr(kernels.load(), name)(*(tf.zeros(shape) for shape in shapes), *more, **settings)


def test_a_rate_of_1_is_refused() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        dropped = kernels.load().bert_dropout([1.0], SEED, rate=1.0)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"rate is 1, must be in \[0, 1\)"):
            session.run(dropped)


THREADS = """
import sys
import numpy as np
import tensorflow.compat.v1 as tf
from bert_trainer.devices import kernels
random = np.random.RandomState(0)
shapes = ((700, 48), (700, 48), (48,), (48,))
x, residual, bias, gamma = (tf.constant(random.normal(size=shape).astype("f")) for shape in shapes)
library = kernels.load()
y = library.bert_bias_gelu(library.bert_add_norm(x, bias, residual, gamma, bias, [1, 2], rate=0.1).y, bias)
offsets, key_value = [0, 90, 700], tf.concat([y, x], 1)
y = library.bert_attention(y, bias, key_value, tf.tile(bias, [2]), offsets, offsets, [3, 4], heads=6, rate=0.1)[0]
options = tf.ConfigProto(intra_op_parallelism_threads=int(sys.argv[1]))
with tf.Session(config=options) as session:
    np.savez(sys.argv[2], *session.run([y, *tf.gradients(tf.square(y), [x, residual, bias, gamma])]))
"""


def test_results_do_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    results = []
    for threads in ("1", "3"):
        path = str(tmp_path / (threads + ".npz"))
        subprocess.run([sys.executable, "-W", "ignore", "-c", THREADS, threads, path], check=True, env=dict(os.environ))
        results.append(np.load(path))
    for name in results[0].files:
        np.testing.assert_array_equal(results[0][name], results[1][name], err_msg=name)


def all_dropped(training: bool, rate: float, step: int = 0, seed: int = 1, calls: int = 1) -> List[np.ndarray]:
    with tf.Graph().as_default(), tf.Session() as session:
        operations = CpuDevice().operations(tf.constant(step, tf.int64), seed, training)
        return session.run([operations.dropout(tf.ones([100, 1000]), rate) for _ in range(calls)])


def test_dropout_keeps_its_share_and_the_mean() -> None:
    (values,) = all_dropped(training=True, rate=0.1)
    assert abs((values == 0).mean() - 0.1) < 0.005
    np.testing.assert_allclose(values[values != 0], 1 / 0.9, rtol=1e-6)
    assert abs((values[1:] == values[:-1]).mean() - 0.82) < 0.01  # rows are independent: 0.9 * 0.9 + 0.1 * 0.1


def test_dropout_is_off_outside_training_and_at_rate_0() -> None:
    assert (all_dropped(training=False, rate=0.1)[0] == 1).all()
    assert (all_dropped(training=True, rate=0.0)[0] == 1).all()


def test_dropout_depends_on_seed_step_and_place_only() -> None:
    first, second = all_dropped(training=True, rate=0.5, calls=2)
    assert (first != second).any()
    np.testing.assert_array_equal(first, all_dropped(training=True, rate=0.5)[0])
    assert (first != all_dropped(training=True, rate=0.5, step=1)[0]).any()
    assert (first != all_dropped(training=True, rate=0.5, seed=2)[0]).any()


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels.load.cache_clear()
    monkeypatch.setattr(kernels, "LIBRARY", "no_such_kernels")
    with pytest.raises(BadConfigError, match="--device=cpu: no_such_kernels is not on the Python path; build it with"):
        CpuDevice()


def test_on_a_processor_that_is_too_old(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("flags\t: sse4_2 avx fma\n")
    with pytest.raises(BadConfigError, match="--device=cpu: this processor has no avx2; run on one that has"):
        kernels.load(tmp_path / "cpuinfo")
