"""Tokens of a small vocabulary, and vocabularies that are refused."""

from pathlib import Path
from typing import List

import pytest

from bert_trainer.data.glue import Pair
from bert_trainer.data.tokenization import encode_pairs, is_cased, read_vocabulary
from bert_trainer.errors import BadModelError
from support.trainer import small_task


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The banks rose .", ["the", "bank", "##s", "rose", "."]),
        ("Banks,rose", ["bank", "##s", ",", "rose"]),
        ("b\u00e0nk\u0301 unheard", ["bank", "[UNK]"]),
        ("river\u00a0\u2003rain\u0000", ["river", "rain"]),
        ("a" * 201, ["[UNK]"]),
        ("\u4e2d the", ["[UNK]", "the"]),
    ],
)
def test_tokens(text: str, tokens: List[str]) -> None:
    vocabulary = {token: index for index, token in enumerate(small_task.VOCABULARY)}
    (encoded,) = encode_pairs([Pair(text, "a", 0)], vocabulary, 32)
    names = [small_task.VOCABULARY[index] for index in encoded.ids]
    assert names == ["[CLS]", *tokens, "[SEP]", "a", "[SEP]"]
    assert encoded.first_segment == len(tokens) + 2


CASED = [*small_task.VOCABULARY, "The", "##A", "Caf\u00e9"]


@pytest.mark.parametrize(
    ("text", "lower_case", "tokens"),
    [
        ("The river", False, ["The", "river"]),
        ("THE Caf\u00e9", False, ["[UNK]", "Caf\u00e9"]),
        ("The Caf\u00e9", True, ["the", "[UNK]"]),
        ("theA", False, ["the", "##A"]),
    ],
)
def test_tokens_of_cased_text(text: str, lower_case: bool, tokens: List[str]) -> None:
    vocabulary = {token: index for index, token in enumerate(CASED)}
    (encoded,) = encode_pairs([Pair(text, None, 0)], vocabulary, 32, lower_case)
    assert [CASED[index] for index in encoded.ids] == ["[CLS]", *tokens, "[SEP]"]


@pytest.mark.parametrize(
    ("tokens", "cased"),
    [
        (small_task.VOCABULARY, False),
        (["[PAD]", "[CLS]", "[unused0]", "\u4e2d", "##\u6587", "1"], False),
        (CASED, True),
        ([*small_task.VOCABULARY, "##\u0416"], True),
        ([*map(str, range(1000)), "COVID"], False),
        ([*map(str, range(1000)), *(f"A{number}" for number in range(20))], True),
    ],
    ids=["uncased", "without letters", "cased", "cased Cyrillic", "one stray token", "cased names among numbers"],
)
def test_the_vocabulary_tells_the_case(tokens: List[str], cased: bool) -> None:
    assert is_cased({token: index for index, token in enumerate(tokens)}) == cased


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[UNK]\n[CLS]\n", r"token \[SEP\] is missing"),
        (b"[UNK]\n[CLS]\n[SEP]\na\na\n", "1 of its 5 tokens are repeated"),
        (b"[UNK]\n\xff\n", "not UTF-8 at byte 6"),
    ],
)
def test_bad_vocabulary(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(BadModelError, match="vocab.txt: " + message):
        read_vocabulary(tmp_path / "vocab.txt")
