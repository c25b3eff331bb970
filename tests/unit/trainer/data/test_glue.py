"""GLUE's TSV, as published and as it gets broken."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_trainer.data.glue import Pair, read_pairs, read_unlabelled, sha256
from bert_trainer.data.tasks import TASKS
from bert_trainer.errors import BadDataError

MRPC = TASKS["MRPC"]
HEADER = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"
ROW = '1\t10\t11\tOne sentence .\tThe other " sentence .'


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "BOM"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "not ended"])
def test_published_forms(tmp_path: Path, end: str, mark: str, last: bool) -> None:
    path = tmp_path / "train.tsv"
    path.write_bytes((mark + end.join([HEADER, ROW, "0" + ROW[1:]]) + (end if last else "")).encode())
    assert read_pairs(path, MRPC) == [Pair("One sentence .", 'The other " sentence .', label) for label in (1, 0)]


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    path = tmp_path / "dev.tsv"
    path.write_text("#2 String\tQuality\t#1 String\nb\t1\ta\n")
    assert read_pairs(path, MRPC) == [Pair("a", "b", 1)]


@given(
    st.lists(
        st.tuples(
            *[
                st.text(st.characters(blacklist_characters="\t\n\r", blacklist_categories=("Cs",)), min_size=1).filter(
                    str.strip
                )
            ]
            * 2
        ),
        min_size=1,
    )
)
def test_any_sentence_survives(tmp_path_factory: pytest.TempPathFactory, sentences: "list[tuple[str, str]]") -> None:
    path = tmp_path_factory.mktemp("data") / "train.tsv"
    rows = ["0\t1\t2\t{}\t{}".format(*pair) for pair in sentences]
    path.write_bytes("\n".join([HEADER, *rows]).encode())
    assert [(pair.first, pair.second) for pair in read_pairs(path, MRPC)] == sentences


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no examples"),
        ([HEADER], "no examples"),
        ([HEADER.replace("Quality", "quality"), ROW], "line 1: column 'Quality' occurs 0 times"),
        ([HEADER + "\tQuality", ROW], "line 1: column 'Quality' occurs 2 times"),
        ([HEADER, ROW, ROW + "\tmore"], "line 3: 6 fields where the header has 5, as in 1 lines of the file"),
        ([HEADER, ROW, "a", ROW, "b", ROW], "line 3: 1 fields where the header has 5, as in 2 lines of the file"),
        ([HEADER, ROW, "", ROW], "line 3: 1 fields where the header has 5"),
        ([HEADER, ROW, ROW, "2" + ROW[1:]], "line 4: column 'Quality' holds '2'; labels of MRPC are 0, 1"),
        ([HEADER, "\t".join(ROW.split("\t")[:4]) + "\t "], "line 2: column '#2 String' is empty"),
    ],
)
def test_broken_files(tmp_path: Path, lines: "list[str]", message: str) -> None:
    path = tmp_path / "train.tsv"
    path.write_text("".join(line + "\n" for line in lines))
    with pytest.raises(BadDataError) as caught:
        read_pairs(path, MRPC)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("task", "lines", "message"),
    [
        ("CoLA", ["sentence\tlabel", "a\t1"], "line 1: 2 fields where the header has 4"),
        ("CoLA", ["source\tlabel\t\tsentence"], "line 1: column 'label' holds 'label'; labels of CoLA are 0, 1"),
        ("STS-B", ["sentence1\tsentence2\tscore", "a\tb\t5.1"], "line 2: column 'score' holds '5.1'; labels of STS-B"),
        ("STS-B", ["sentence1\tsentence2\tscore", "a\tb\tnan"], "holds 'nan'; labels of STS-B are numbers from 0 to 5"),
        ("STS-B", ["sentence1\tsentence2\tscore", "a\tb\t"], "line 2: column 'score' holds ''"),
        (
            "MNLI",
            ["sentence1\tsentence2\tgold_label", "a\tb\t-"],
            "labels of MNLI are contradiction, entailment",
        ),
    ],
)
def test_broken_files_of_other_tasks(tmp_path: Path, task: str, lines: "list[str]", message: str) -> None:
    path = tmp_path / "train.tsv"
    path.write_text("".join(line + "\n" for line in lines))
    with pytest.raises(BadDataError) as caught:
        read_pairs(path, TASKS[task])
    assert message in str(caught.value)


def test_the_remedy_for_rows_with_line_breaks_in_them_works(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text("\n".join([HEADER, ROW, "1\t10\t11\tone", "broken\tsentence", ROW]) + "\n")
    with pytest.raises(BadDataError, match=r"as in 2 lines .*; (awk .*) keeps the sound lines") as caught:
        read_pairs(path, MRPC)
    remedy = str(caught.value).split("; ")[-1].replace(" keeps the sound lines", "")
    path.write_bytes(subprocess.check_output(remedy + " " + str(path), shell=True))  # noqa: S602 - as a user would
    assert len(read_pairs(path, MRPC)) == 2


def test_every_row_of_a_test_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "test.tsv"
    path.write_text("index\t#1 String\t#2 String\n7\ta\tb\n8\tc\t\n")
    assert read_unlabelled(path, MRPC) == (["7", "8"], [Pair("a", "b", 0), Pair("c", "", 0)])
    path.write_text("#1 String\t#2 String\na\tb\n")
    with pytest.raises(BadDataError, match="line 1: column 'index' occurs 0 times"):
        read_unlabelled(path, MRPC)


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_bytes((HEADER + "\n" + ROW + "\n").encode() + "caf\u00e9".encode("latin-1"))
    with pytest.raises(BadDataError, match=r"train.tsv, line 3: byte 0xe9 is not UTF-8"):
        read_pairs(path, MRPC)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"dev.tsv: No such file or directory; mount"):
        read_pairs(tmp_path / "dev.tsv", MRPC)
    with pytest.raises(BadDataError, match="Is a directory"):
        sha256(tmp_path, BadDataError)


def test_the_corpus_is_read_whole(corpus: Path) -> None:
    for name in ("train.tsv", "dev.tsv"):
        rows = (corpus / name).read_bytes().count(b"\n") - 1
        assert len(read_pairs(corpus / name, MRPC)) == rows
