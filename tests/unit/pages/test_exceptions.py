"""The table of exceptions: a row for each command that is not run, and none more."""

import re
from collections.abc import Mapping

import pytest

from lab.cluster.layout import PROJECT
from pages import exceptions
from pages.commands import all_commands

COMMANDS = all_commands()


@pytest.mark.parametrize("table", ["COMMANDS", "SERVING", "REFUSED"], ids=lambda name: name.lower())
def test_every_pattern_is_of_use(table: str) -> None:
    patterns: Mapping[str, object] = getattr(exceptions, table)
    texts = [command.text for command in COMMANDS]
    assert [p for p in patterns if not any(re.fullmatch(p, text, re.DOTALL) for text in texts)] == []


def test_every_page_need_and_target_is_there() -> None:
    assert set(exceptions.PAGES) <= {command.page for command in COMMANDS}
    assert set(exceptions.NEEDS) == {c.needs for c in COMMANDS if c.page not in exceptions.PAGES} - {""}
    assert set(exceptions.MAKE) <= {command.make_target for command in COMMANDS}


def test_every_target_of_the_makefile_is_explained_by_make_help() -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):.*## ", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert {command.make_target for command in COMMANDS} - {""} <= targets | {"setup-dev"}


def test_no_command_asks_a_pod_by_the_api_servers_proxy() -> None:
    """Our NetworkPolicies let no API server in that is on another node; kubectl exec and port-forward avoid them."""
    assert [command for command in COMMANDS if re.search(r"/proxy\b|kubectl proxy", command.text)] == []
