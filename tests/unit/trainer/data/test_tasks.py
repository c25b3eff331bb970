"""The registry: every GLUE task, as its files are published and its predictions are taken."""

from pathlib import Path
from typing import NamedTuple, Optional

import pytest

from bert_trainer import contract
from bert_trainer.data.glue import Pair, read_pairs, read_unlabelled
from bert_trainer.data.tasks import TASKS
from bert_trainer.evaluation import scores

MNLI_HEADER = (
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse"
    "\tsentence1\tsentence2"
)
MNLI_ROW = "0\t31\t31n\tslate\t( a )\t( b )\t(A)\t(B)\tIt rains\tIt pours"
STSB_HEADER = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2"


class Published(NamedTuple):
    """The first lines of a task's train.tsv and test.tsv, and the examples they hold."""

    train: str
    test: str
    label: float
    first: str
    second: Optional[str]


PUBLISHED = {
    "CoLA": Published("gj04\t0\t*\tThe bank rose.", "index\tsentence\n0\tThe bank rose.", 0, "The bank rose.", None),
    "SST-2": Published(
        "sentence\tlabel\na rare delight \t1", "index\tsentence\n0\ta rare delight ", 1, "a rare delight ", None
    ),
    "MRPC": Published(
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t10\t11\tIt rose .\tUp it went .",
        "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t10\t11\tIt rose .\tUp it went .",
        1,
        "It rose .",
        "Up it went .",
    ),
    "STS-B": Published(
        STSB_HEADER + "\tscore\n0\tnews\tMSRvid\t2012test\t0001\tnone\tnone\tA plane.\tAn air plane.\t4.250",
        STSB_HEADER + "\n0\tnews\tMSRvid\t2012test\t0001\tnone\tnone\tA plane.\tAn air plane.",
        4.25,
        "A plane.",
        "An air plane.",
    ),
    "QQP": Published(
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n9\t1\t2\tWhy?\tHow come?\t1",
        "id\tquestion1\tquestion2\n0\tWhy?\tHow come?",
        1,
        "Why?",
        "How come?",
    ),
    "MNLI": Published(
        MNLI_HEADER
        + "\tlabel1\tgold_label\n0\t31\t31n\tslate\t( a )\t( b )\t(A)\t(B)\tIt rains\tIt pours\tneutral\tneutral",
        MNLI_HEADER + "\n0\t31\t31n\tslate\t( a )\t( b )\t(A)\t(B)\tIt rains\tIt pours",
        2,
        "It rains",
        "It pours",
    ),
    "QNLI": Published(
        "index\tquestion\tsentence\tlabel\n7\tWho won?\tThe team won.\tentailment",
        "index\tquestion\tsentence\n0\tWho won?\tThe team won.",
        0,
        "Who won?",
        "The team won.",
    ),
    "RTE": Published(
        "index\tsentence1\tsentence2\tlabel\n7\tA man won.\tNobody won.\tnot_entailment",
        "index\tsentence1\tsentence2\n0\tA man won.\tNobody won.",
        1,
        "A man won.",
        "Nobody won.",
    ),
    "WNLI": Published(
        "index\tsentence1\tsentence2\tlabel\n7\tI stuck a pin.\tThe pin.\t1",
        "index\tsentence1\tsentence2\n0\tI stuck a pin.\tThe pin.",
        1,
        "I stuck a pin.",
        "The pin.",
    ),
}
# What GLUE calls them: the files of a submission, and the columns that say how a task is scored.
SUBMISSIONS = {"MNLI": ["MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv"]}
GLUE_SCORES = {
    "CoLA": ("matthews",),
    "SST-2": ("accuracy",),
    "MRPC": ("accuracy", "f1"),
    "STS-B": ("pearson", "spearman"),
    "QQP": ("accuracy", "f1"),
    "MNLI": ("accuracy",),
    "QNLI": ("accuracy",),
    "RTE": ("accuracy",),
    "WNLI": ("accuracy",),
}


def test_the_contract_names_every_task_and_score() -> None:
    assert set(contract.TASKS) == set(TASKS) == set(PUBLISHED)
    assert {score for task in TASKS.values() for score in task.scores} == set(scores.SCORES)
    assert set(contract.SCORE_KEYS) == {*scores.SCORES, "accuracyMismatched"}
    assert set(contract.SCORE_KEYS) <= set(contract.RESULT_KEYS)


@pytest.mark.parametrize("name", TASKS)
def test_files_as_published(tmp_path: Path, name: str) -> None:
    task, published = TASKS[name], PUBLISHED[name]
    (tmp_path / "train.tsv").write_text(published.train + "\n", encoding="utf-8")
    (tmp_path / "test.tsv").write_text(published.test + "\n", encoding="utf-8")
    assert read_pairs(tmp_path / "train.tsv", task) == [Pair(published.first, published.second, published.label)]
    expected = (["0"], [Pair(published.first, published.second, 0.0)])
    assert read_unlabelled(tmp_path / "test.tsv", task) == expected


def test_mnli_s_development_files_have_four_more_labels(tmp_path: Path) -> None:
    labels = "neutral\tentailment\tneutral\tneutral\tneutral"
    header = MNLI_HEADER + "\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label"
    row = MNLI_ROW + "\t" + labels + "\tentailment"
    (tmp_path / "dev_matched.tsv").write_text(header + "\n" + row + "\n")
    assert read_pairs(tmp_path / "dev_matched.tsv", TASKS["MNLI"]) == [Pair("It rains", "It pours", 1)]
    assert TASKS["MNLI"].dev_files == ("dev_matched.tsv", "dev_mismatched.tsv")


@pytest.mark.parametrize("name", TASKS)
def test_scores_and_submissions_are_glue_s(name: str) -> None:
    task = TASKS[name]
    assert task.scores[: len(GLUE_SCORES[name])] == GLUE_SCORES[name]
    assert [submission for _, submission in task.test_files] == SUBMISSIONS.get(name, [name + ".tsv"])
    assert task.outputs == {"STS-B": 1, "MNLI": 3}.get(name, 2)
