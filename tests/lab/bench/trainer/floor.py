"""How fast a training step could be here: the arithmetic it cannot avoid, and the rate at which TensorFlow multiplies.

Prints one line of JSON: seconds of a step that does nothing but its matrix products at that rate, and both numbers.
"""

import json
import sys
import time
from pathlib import Path
from typing import Callable, Iterator, Sequence, Tuple

from bert_trainer.program import quiet_tensorflow

quiet_tensorflow()

import tensorflow.compat.v1 as tf  # noqa: E402

from bert_trainer.data.glue import read_pairs  # noqa: E402
from bert_trainer.data.tasks import TASKS  # noqa: E402
from bert_trainer.data.tokenization import encode_pairs, read_vocabulary  # noqa: E402
from bert_trainer.devices.cpu import available_cores  # noqa: E402
from bert_trainer.model.bert import BertConfig, read_bert_config  # noqa: E402

SECONDS_A_PRODUCT, CALLS_A_PRODUCT = 0.3, 100  # whichever ends first
TRAINING = 3  # a product's gradients are two products of its size


def forward_flops(length: int, config: BertConfig) -> float:
    """Returns the floating point operations of one pair of `length` tokens, its last layer for the [CLS] token only.

    Matrix products alone (a multiplication and an addition each): projections, feed-forward, attention, pooler.
    """
    hidden, wide = config.hidden_size, config.intermediate_size
    keys_and_values, query_and_output, feed_forward = 2 * hidden**2, 2 * hidden**2, 2 * hidden * wide

    def layer(queries: int) -> float:
        projected = length * keys_and_values + queries * (query_and_output + feed_forward)
        return 2.0 * (projected + queries * length * 2 * hidden)

    return (config.num_hidden_layers - 1) * layer(length) + layer(1) + 2.0 * hidden**2


def layer_products(tokens: int, config: BertConfig) -> Iterator[Tuple[int, int, int]]:
    """Yields (tokens, from, to) of the products of one layer's weights."""
    yield from [(tokens, config.hidden_size, config.hidden_size)] * 4
    yield tokens, config.hidden_size, config.intermediate_size
    yield tokens, config.intermediate_size, config.hidden_size


def products_per_second(shapes: Sequence[Tuple[int, int, int]]) -> float:
    """Returns the floating point operations a second of TensorFlow's products of these shapes, gradients included."""
    seconds = {shape: _seconds_of_product(*shape) for shape in set(shapes)}
    return sum(TRAINING * 2.0 * n * a * b for n, a, b in shapes) / sum(seconds[shape] for shape in shapes)


def _seconds_of_product(tokens: int, size: int, to: int) -> float:
    """Returns the time of x @ w, of dy @ w^T and of x^T @ dy together, each the fastest of several."""
    options = tf.ConfigProto(intra_op_parallelism_threads=available_cores(), inter_op_parallelism_threads=1)
    with tf.Graph().as_default(), tf.Session(config=options) as session:
        x, w, dy = (tf.Variable(tf.ones(shape)) for shape in ((tokens, size), (size, to), (tokens, to)))
        products = [tf.matmul(x, w), tf.matmul(dy, w, transpose_b=True), tf.matmul(x, dy, transpose_a=True)]
        session.run(tf.global_variables_initializer())
        return sum(_fastest(session.make_callable(product.op)) for product in products)


def _fastest(call: Callable[[], object]) -> float:
    call()
    started, best = time.perf_counter(), float("inf")
    for _ in range(CALLS_A_PRODUCT):
        before = time.perf_counter()
        call()
        after = time.perf_counter()
        best = min(best, after - before)
        if after - started > SECONDS_A_PRODUCT:
            break
    return best


def main(data: str, weights: str, batch_size: int, max_seq_length: int) -> None:
    config = read_bert_config(Path(weights) / "bert_config.json")
    vocabulary = read_vocabulary(Path(weights) / "vocab.txt")
    pairs = encode_pairs(read_pairs(Path(data) / "train.tsv", TASKS["MRPC"]), vocabulary, max_seq_length)
    lengths = [len(pair.ids) for pair in pairs]
    flops = TRAINING * batch_size * sum(forward_flops(length, config) for length in lengths) / len(lengths)
    tokens = batch_size * sum(lengths) / len(lengths)
    rate = products_per_second(list(layer_products(round(tokens), config)))
    print(json.dumps({"seconds": flops / rate, "gflop": flops / 1e9, "gflops": rate / 1e9, "tokens": tokens}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
