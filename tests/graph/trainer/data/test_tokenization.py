"""Tokens and truncation against the published implementation, on the corpus and on any text."""

import unicodedata
from pathlib import Path
from typing import Dict, List

import pytest
from bert import run_classifier
from bert import tokenization as reference
from hypothesis import given
from hypothesis import strategies as st

from bert_trainer.data.glue import Pair, read_pairs
from bert_trainer.data.tasks import TASKS
from bert_trainer.data.tokenization import encode_pairs, is_cased, read_vocabulary, truncated_lengths
from support.trainer import small_task

# The Rust library differs from the reference in characters younger than Unicode 8, in 256 rare ideographs, and in that
# it knows no final sigma.
CHARACTERS = st.characters(max_codepoint=0xFFFF, blacklist_categories=("Cs", "Cn", "Co"), blacklist_characters="\u03a3")
TEXT = st.text(CHARACTERS.filter(lambda c: unicodedata.ucd_3_2_0.category(c) != "Cn"), max_size=40).map("{} x".format)


def letters_vocabulary(texts: List[str], lower_case: bool = True) -> Dict[str, int]:
    """Returns a vocabulary that splits the texts' words into pieces of one to three letters."""
    words = {word for text in texts for word in (text.lower() if lower_case else text).split()}
    pieces = {word[start : start + size] for word in words for start in range(len(word)) for size in (1, 2, 3)}
    tokens = small_task.SPECIAL + sorted(pieces) + ["##" + piece for piece in sorted(pieces)]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}


def reference_features(
    pairs: List[Pair], vocabulary_file: Path, max_seq_length: int, lower_case: bool
) -> List[run_classifier.InputFeatures]:
    tokenizer = reference.FullTokenizer(str(vocabulary_file), do_lower_case=lower_case)
    examples = [
        run_classifier.InputExample(str(index), pair.first, pair.second, str(int(pair.label)))
        for index, pair in enumerate(pairs)
    ]
    return [
        run_classifier.convert_single_example(10, example, ["0", "1"], max_seq_length, tokenizer)
        for example in examples
    ]


def assert_same(
    pairs: List[Pair], vocabulary: Dict[str, int], folder: Path, max_seq_length: int, lower_case: bool = True
) -> None:
    vocabulary_file = folder / "vocab.txt"
    vocabulary_file.write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    expected = reference_features(pairs, vocabulary_file, max_seq_length, lower_case)
    ours = encode_pairs(pairs, read_vocabulary(vocabulary_file), max_seq_length, lower_case)
    for pair, encoded, theirs in zip(pairs, ours, expected):
        length = sum(theirs.input_mask)
        types = [0] * encoded.first_segment + [1] * (len(encoded.ids) - encoded.first_segment)
        assert encoded.ids.tolist() == theirs.input_ids[:length], pair
        assert (types, encoded.label) == (theirs.segment_ids[:length], theirs.label_id)


@pytest.mark.parametrize(
    ("name", "max_seq_length", "lower_case"), [("train.tsv", 128, True), ("dev.tsv", 40, True), ("dev.tsv", 128, False)]
)
def test_the_whole_corpus_is_tokenized_as_the_reference_does(
    corpus: Path, tmp_path: Path, name: str, max_seq_length: int, lower_case: bool
) -> None:
    pairs = read_pairs(corpus / name, TASKS["MRPC"])
    vocabulary = letters_vocabulary([sentence for pair in pairs for sentence in pair[:2]], lower_case)
    assert is_cased(vocabulary) != lower_case
    assert_same(pairs, vocabulary, tmp_path, max_seq_length, lower_case)


@given(TEXT, TEXT, st.integers(8, 60), st.booleans())
def test_any_text_is_tokenized_as_the_reference_does(
    tmp_path_factory: pytest.TempPathFactory, first: str, second: str, width: int, lower_case: bool
) -> None:
    pairs = [Pair(first, second, 1), Pair(first, None, 0), Pair(first, " ", 1)]
    vocabulary = letters_vocabulary([first], lower_case)
    assert_same(pairs, vocabulary, tmp_path_factory.mktemp("vocabulary"), width, lower_case)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 200))
def test_truncation_is_the_reference_s(first: int, second: int, limit: int) -> None:
    one, other = ["x"] * first, ["y"] * second
    run_classifier._truncate_seq_pair(one, other, limit)
    assert truncated_lengths(first, second, limit) == (len(one), len(other))
