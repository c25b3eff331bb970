"""What a training step should take on an Ascend 910, derived from public numbers alone: nothing here was measured.

`python -m lab.bench.trainer.on_paper` rewrites the table of trainer_image/docs/speed-on-a-card.md.
"""

from pathlib import Path
from typing import Dict, List, NamedTuple

CUBE = 256e12  # half precision operations a second; the page names the sources of both
MEMORY = 1.2e12  # bytes a second of the high bandwidth memory
TRAINING = 3  # a product's gradients are two products of its size
HALF = 2  # bytes
SLOTS, WIDTH, PADDED_ROWS = 32, 128, 32
PACKED_ROWS = 16  # packing.fit_shape for MRPC's 3668 pairs of 53 tokens on average
PAGE = Path(__file__).resolve().parents[4] / "trainer_image" / "docs" / "speed-on-a-card.md"
PUBLISHED = {"BERT-Base": 83.29, "BERT-Large": 139.26}  # ms/step of the reference's own run

# What the vector kernels of one layer read and write, forward and backward, in arrays of [tokens, hidden]. A test
# counts them in the graph (tests/graph/ascend/test_layer_on_paper.py).
BIASES, GELU, DROPOUTS, RESIDUALS, HEADS = 18 + 9, 8 + 16, 4 + 4, 6 + 7, 12 + 12
# [heads, width] numbers a token: scale, mask, softmax and its dropout, and the gradients of three of them.
SCORES = 8 + 7
FUSED_NORMS = 2 * (2 + 5)  # LayerNorm; LayerNormXBackprop and LayerNormBetaGammaBackprop
WRITTEN_OUT_NORMS = 2 * 45  # by TensorFlow's operations, each a kernel
# Bytes an update moves for each parameter: the norm and the clipping of its gradient, then the update.
CLIPPING = 4 + 8
CHAINED_UPDATE = 12 + 28  # ApplyGradientDescent and ApplyAdam
WRITTEN_OUT_UPDATE = 88  # the published optimizer: eleven kernels of TensorFlow's


class Size(NamedTuple):
    """A published model (Devlin et al. 2018)."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int


BASE, LARGE = Size(768, 12, 12), Size(1024, 24, 16)
TABLES = 30522 + 512 + 2  # rows of the embeddings: words, positions, segments


class Step(NamedTuple):
    """Milliseconds of one step, by what limits them."""

    products: float
    vectors: float
    update: float

    @property
    def total(self) -> float:
        return sum(self)


def parameters(config: Size) -> int:
    """Returns the trained numbers, but for those of the classifier."""
    hidden, wide = config.hidden_size, 4 * config.hidden_size
    layer = 4 * (hidden**2 + hidden) + 2 * hidden * wide + hidden + wide + 4 * hidden
    return (TABLES + 2) * hidden + config.num_hidden_layers * layer + hidden**2 + hidden


def products(config: Size, rows: int, whole_last_layer: bool) -> float:
    """Returns the operations of a step's matrix products, a multiplication and an addition each."""
    hidden, tokens = config.hidden_size, rows * WIDTH
    layer = tokens * (24.0 * hidden**2 + 4 * WIDTH * hidden)
    last = layer if whole_last_layer else tokens * 4.0 * hidden**2 + SLOTS * (20.0 * hidden**2 + 4 * WIDTH * hidden)
    return TRAINING * ((config.num_hidden_layers - 1) * layer + last)


def step(config: Size, rows: int, *, ours: bool, fused: bool = True) -> Step:
    """Returns a step's time if products, vector kernels and the update come one after the other, each at its limit."""
    arrays = BIASES + GELU + DROPOUTS + RESIDUALS + HEADS + (FUSED_NORMS if fused else WRITTEN_OUT_NORMS)
    scores = SCORES * config.num_attention_heads * WIDTH / config.hidden_size
    layers = config.num_hidden_layers - (1 if ours else 0)  # ours computes the last one for [CLS] alone
    moved = layers * (arrays + scores) * rows * WIDTH * config.hidden_size * HALF
    update = (CLIPPING + (CHAINED_UPDATE if ours else WRITTEN_OUT_UPDATE)) * parameters(config)
    times = (products(config, rows, whole_last_layer=not ours) / CUBE, moved / MEMORY, update / MEMORY)
    return Step(*(1000 * seconds for seconds in times))


def table() -> List[str]:
    """Returns the lines of the page's table."""
    lines = [
        "| model, ms/step | products | vector kernels | update | sum | published |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, config in (("BERT-Base", BASE), ("BERT-Large", LARGE)):
        cases: Dict[str, Step] = {
            "the reference: padded, published optimizer": step(config, PADDED_ROWS, ours=False),
            "ours, padded": step(config, PADDED_ROWS, ours=True),
            "ours, packed, norms written out": step(config, PACKED_ROWS, ours=True, fused=False),
            "ours": step(config, PACKED_ROWS, ours=True),
        }
        for case, taken in cases.items():
            published = PUBLISHED[name] if case.startswith("the reference") else ""
            numbers = (f"{value:.1f}" for value in (*taken, taken.total))
            lines.append("| {}, {} | {} | {} |".format(name, case, " | ".join(numbers), published))
    return lines


def document(text: str) -> str:
    """Returns the page with its table as computed."""
    before, _, rest = text.partition("| model, ms/step |")
    _, _, after = rest.partition("\n\n")
    return before + "\n".join(table()) + "\n\n" + after


if __name__ == "__main__":
    PAGE.write_text(document(PAGE.read_text()))
