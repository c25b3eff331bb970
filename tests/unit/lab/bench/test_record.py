"""The runs that are kept, and the page that is made of them."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from lab.bench.operator import page, record, report
from lab.bench.operator.record import Record
from unit.lab.bench.measured import RESULTS

RUN = Record("2026-11-30", "abc1234", "two cores", 100, "both", report.result(RESULTS), RESULTS)


def test_the_page_is_that_of_the_records() -> None:
    text = page.PAGE.read_text()
    assert page.page(text, record.read(record.FILE.read_text())) == text, "`make generate` writes it"


def test_a_run_is_kept_on_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(record, "FILE", tmp_path / "results.jsonl")
    for n in (1, 2):
        record.keep(f"machine {n}", "both", RUN.figures, RESULTS)
    runs = record.read(record.FILE.read_text())
    assert [run.machine for run in runs] == ["machine 1", "machine 2"]
    assert replace(runs[0], machine=RUN.machine, date=RUN.date, commit=RUN.commit) == RUN


def test_the_commit_is_that_of_the_operators_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def git(*words: str) -> str:
        user = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(("git", *user, *words), check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    monkeypatch.setattr(record, "PROJECT", tmp_path)
    code = tmp_path / "operator" / "src" / "a.py"
    code.parent.mkdir(parents=True)
    for file in (code, results := tmp_path / "results.jsonl"):
        file.write_text("")
    git("init")
    git("add", ".")
    git("commit", "--message=First")
    head = git("rev-parse", "HEAD")[:7]
    results.write_text("a run\n")
    assert record.commit() == head
    code.write_text("changed\n")
    assert record.commit() == f"{head}-dirty"


def test_a_line_that_lacks_something_is_refused() -> None:
    with pytest.raises(ValidationError, match="first_mb"):
        record.read(record.dump(RUN).replace('"first_mb"', '"growth"', 1))


def test_the_newest_run_of_each_choice_is_shown() -> None:
    runs = [
        replace(RUN, n=500, commit="old"),
        replace(RUN, n=2000, peer="no"),
        replace(RUN, n=500, commit="new"),
        replace(RUN, n=500, peer="no"),
    ]
    assert [(run.n, run.peer, run.commit) for run in record.newest(runs)] == [
        (500, "both", "new"),
        (500, "no", "abc1234"),
        (2000, "no", "abc1234"),
    ]


def test_a_section_tells_all_that_the_run_printed() -> None:
    text = page.section(RUN)
    assert text.startswith(
        "### 100 objects beside training-operator and Kubeflow Trainer\n\n2026-11-30, commit abc1234"
    )
    for part in (report.comparison, report.requests, report.programs):
        assert part(RESULTS) in text
    assert report.last_line(RUN.figures) in text
    assert "### 100 objects\n" in page.section(replace(RUN, measured=replace(RESULTS, peers={})))


def test_what_is_around_the_marks_stays() -> None:
    text = page.page(f"before\n{page.BEGIN}\nstale\n{page.END}\nafter\n", [RUN])
    assert text.startswith(f"before\n{page.BEGIN}\n\n### 100 objects")
    assert text.endswith(f"\n\n{page.END}\nafter\n")
    assert "stale" not in text
