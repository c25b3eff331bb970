from pathlib import Path

from lab import durations
from lab.durations import SLOWEST, Suite

XML = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" tests="2" time="3.75">
<testcase classname="tests.unit.test_a" name="test_one[x]" time="0.25"/>
<testcase classname="tests.unit.test_a" name="test_two" time="3.5"><failure message="no"/></testcase>
</testsuite></testsuites>"""


def test_a_file_of_pytest_is_read(tmp_path: Path) -> None:
    (tmp_path / "api.xml").write_text(XML)
    tests = {"tests.unit.test_a::test_one[x]": 0.25, "tests.unit.test_a::test_two": 3.5}
    assert durations.read(tmp_path / "api.xml") == Suite("api", 3.75, tests)


def test_what_is_no_test_counts_by_its_seconds(tmp_path: Path) -> None:
    (tmp_path / "lint.seconds").write_text("21\n")
    assert durations.read(tmp_path / "lint.seconds") == Suite("lint", 21.0, {})


def test_tiers_are_summed_and_the_slowest_tests_of_all_come_first() -> None:
    many = {f"t::{number}": float(number) for number in range(SLOWEST + 5)}
    lines = durations.table([Suite("check", 10.4, {"u::a": 20.0}), Suite("node", 600.0, many)]).splitlines()
    assert lines[2:5] == ["| check | 1 | 10 |", f"| node | {SLOWEST + 5} | 600 |", f"| all | {SLOWEST + 6} | 610 |"]
    slowest = lines[-SLOWEST:]
    assert slowest[:2] == ["| u::a | 20 |", f"| t::{SLOWEST + 4} | {SLOWEST + 4} |"]
    assert len(slowest) == SLOWEST
