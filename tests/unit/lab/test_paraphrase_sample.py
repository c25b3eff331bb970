"""The sample corpus: MRPC's format, MRPC's balance, and no way to score on dev by having seen it in train."""

import csv
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "lab" / "demo" / "paraphrase_sample"
COLUMNS = ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"]
SPLITS = ("train", "dev")


def read(split: str) -> list[dict[str, str]]:
    text = (FOLDER / f"{split}.tsv").read_text(encoding="utf-8-sig")
    return list(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))


def sentences(split: str) -> dict[str, str]:
    return {row[f"#{side} ID"]: row[f"#{side} String"] for row in read(split) for side in (1, 2)}


def words(sentence: str) -> set[str]:
    return set(re.findall(r"\w+", sentence.lower()))


def overlap(row: dict[str, str]) -> float:
    """Return the share of a pair's words (Jaccard) that both sentences have."""
    first, second = words(row["#1 String"]), words(row["#2 String"])
    return len(first & second) / len(first | second)


@pytest.mark.parametrize("split", SPLITS)
def test_format_is_that_of_mrpc(split: str) -> None:
    content = (FOLDER / f"{split}.tsv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf"), "MRPC's files begin with a byte order mark"
    assert content.endswith(b"\n")
    assert b"\r" not in content
    lines = content.decode("utf-8-sig").split("\n")[:-1]
    assert lines[0].split("\t") == COLUMNS
    for line in lines[1:]:
        quality, first_id, second_id, first, second = line.split("\t")
        assert quality in {"0", "1"}
        assert first_id.isdigit()
        assert second_id.isdigit()
        assert [first, second] == [" ".join(first.split()), " ".join(second.split())]


@pytest.mark.parametrize(("split", "at_least"), [("train", 400), ("dev", 100)])
def test_size_and_balance(split: str, at_least: int) -> None:
    labels = [int(row["Quality"]) for row in read(split)]
    assert len(labels) >= at_least
    assert 0.64 <= sum(labels) / len(labels) <= 0.71


def test_sentences_are_as_long_as_mrpcs() -> None:
    lengths = [len(sentence.split()) for split in SPLITS for sentence in sentences(split).values()]
    assert min(lengths) >= 15
    assert max(lengths) <= 30


def test_no_pair_occurs_twice() -> None:
    pairs = [frozenset((row["#1 String"], row["#2 String"])) for split in SPLITS for row in read(split)]
    assert all(len(pair) == 2 for pair in pairs)
    assert len(set(pairs)) == len(pairs)


def test_ids_name_sentences() -> None:
    known = {**sentences("train"), **sentences("dev")}
    assert len(set(known.values())) == len(known)
    for split in SPLITS:
        assert all(known[row[f"#{side} ID"]] == row[f"#{side} String"] for row in read(split) for side in (1, 2))


def test_train_and_dev_share_no_sentence_and_no_rewording() -> None:
    train, dev = sentences("train"), sentences("dev")
    assert not set(train.values()) & set(dev.values())
    unseen = [words(sentence) for sentence in dev.values()]
    closest = max(len(seen & other) / len(seen | other) for seen in map(words, train.values()) for other in unseen)
    assert closest < 0.5, "a dev sentence is a variant of a training sentence"


@pytest.mark.parametrize("split", SPLITS)
def test_words_in_common_do_not_give_the_label_away(split: str) -> None:
    scored = [(overlap(row), row["Quality"] == "1") for row in read(split)]
    accuracies = [sum((share >= least) == label for share, label in scored) / len(scored) for least, _ in scored]
    assert max(accuracies) < 0.75
