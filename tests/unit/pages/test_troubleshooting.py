"""The troubleshooting page: every word that a status, an exit code or an alert can say, and no word that none says."""

import ast
import itertools
import re
import signal
from collections.abc import Iterator

import yaml

from bertfinetune_operator import contract
from bertfinetune_operator.api.status import PHASES
from bertfinetune_operator.decision.views import DISRUPTIONS, IMAGE_REASONS
from lab.cluster.layout import PROJECT
from pages.markdown import tokens

PAGE = "operator/docs/troubleshooting.md"
SOURCES = PROJECT / "operator/src/bertfinetune_operator/decision"
RULES = PROJECT / "charts/bertfinetune-operator/files/rules/bertfinetune.yaml"
WORD = re.compile(r"[A-Z][a-zA-Z]+")
ALERTS = {
    rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule
}
PASSED_ON = {"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"}
"""Reasons of the kubelet's warnings, of which the operator passes on whichever comes."""
KILLED = 128 + signal.SIGKILL


def literals(node: ast.AST) -> set[str]:
    """The words in an expression that can be a reason."""
    return {
        inner.value
        for inner in ast.walk(node)
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and WORD.fullmatch(inner.value)
    }


def reasons_in(tree: ast.AST) -> Iterator[set[str]]:
    """The reasons in a module, wherever one is written down."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="Stage"), args=[_, reason, *_]):
                yield literals(reason)
            case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value="reason"), default]):
                yield literals(default)
            case ast.keyword(arg="reason" | "class_", value=value):
                yield literals(value)
            case ast.Assign(targets=[ast.Name(id="reason") | ast.Tuple(elts=[ast.Name(id="reason"), *_])], value=value):
                yield literals(value)
            case ast.Dict(keys=keys, values=values):
                yield from (
                    literals(value)
                    for key, value in zip(keys, values, strict=True)
                    if isinstance(key, ast.Constant) and key.value == "reason"
                )
            case ast.match_case(
                pattern=ast.MatchValue(value=phase), body=[ast.Return(ast.Call(func=ast.Name(id="Stage")))]
            ):
                yield literals(phase)
            case ast.FunctionDef(name="classify" | "why", body=body):
                yield from (
                    literals(part) for inner in body for part in ast.walk(inner) if isinstance(part, ast.Return)
                )
                yield {"Evicted", "NodeLost"}  # the pod's own words, which it passes on


def reasons_of_the_code() -> set[str]:
    found = {*PASSED_ON, *IMAGE_REASONS, *DISRUPTIONS.values(), *contract.EXIT_CLASSES.values()}
    for path in [*SOURCES.glob("policies/*.py"), SOURCES / "views.py", SOURCES / "next_status.py"]:
        found = found.union(*reasons_in(ast.parse(path.read_text())))
    return found


def rows() -> list[list[list[str]]]:
    """The rows of the page's tables: of each cell the pieces of code, or its text where it has none."""
    found: list[list[list[str]]] = []
    for token, content in itertools.pairwise(tokens(PAGE)):
        if token.type == "tr_open":
            found.append([])
        elif token.type == "td_open":
            pieces = [child.content for child in content.children or () if child.type == "code_inline"]
            found[-1].append(pieces or [content.content])
    return [row for row in found if row]


def test_the_page_has_every_word_and_no_other() -> None:
    told = [word for first, *_ in rows() for word in first if WORD.fullmatch(word)]
    assert sorted(told) == sorted(reasons_of_the_code() | ALERTS)


def test_each_class_stands_beside_its_exit_code() -> None:
    codes = {name: str(code) for code, name in contract.EXIT_CLASSES.items() if code} | {"OOMKilled": str(KILLED)}
    told = {row[0][0]: row[1][0] for row in rows() if row[1][0].isdecimal()}
    assert told == codes


def test_events_are_of_each_phase() -> None:
    told = re.search(r"Events have the phase as their reason \(([^)]*)\)", (PROJECT / PAGE).read_text())
    assert told
    assert tuple(told[1].split(", ")) == PHASES
