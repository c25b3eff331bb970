"""The page about security: each threat has a test, and its tables of rights are what the chart grants."""

import re

from lab.cluster.layout import PROJECT
from support.rights import KUEUE, LEASES, POLICIES, SERVED

PAGE = (PROJECT / "operator/docs/security.md").read_text()


def test_each_threat_has_a_control_and_a_test() -> None:
    table = PAGE.partition("## Trust boundaries")[2].partition("\n## ")[0]
    rows = [row.strip("| ").split(" | ") for row in table.splitlines() if row.startswith("| ")][2:]
    assert len(rows) > 10
    for threat, control, tests in rows:
        assert control, threat
        assert re.fullmatch(r"`tests/[\w/]+\.py::\w+`(, `tests/[\w/]+\.py::\w+`)*", tests), threat


def test_the_rights_are_those_of_the_chart() -> None:
    table = PAGE.partition("## Who may do what")[2].partition("\n## ")[0]
    rights = {
        f"{verb} {resource}"
        for resource, verbs in re.findall(r"^\| `([^`]+)` \| ([a-z ]+) \|", table, re.MULTILINE)
        for verb in verbs.split()
    }
    assert rights == SERVED | KUEUE | POLICIES | LEASES
