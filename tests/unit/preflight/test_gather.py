"""What kubectl is asked, by a kubectl that notes it down."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bertfinetune_preflight.gather import OWN_CRD
from lab.cluster.layout import CRD, PROJECT

READY: dict[str, Any] = yaml.safe_load((Path(__file__).with_name("mindcluster.yaml")).read_text())
LISTS = {
    "nodes": "nodes",
    "deployments,daemonsets": "workloads",
    "customresourcedefinitions": "crds",
    "runtimeclasses": "runtime_classes",
    "storageclasses": "storage_classes",
    "namespaces": "namespaces",
    "persistentvolumeclaims": "claims",
}
KUBECTL = """#!/bin/sh
cd "$(dirname "$0")"
echo "$*" >>asked
for word; do case $word in --*) ;; *) words="$words$word " ;; esac; done
set -- $words
cat "answers/$1 $2" 2>/dev/null || { echo "Error from server (Forbidden): $words" >&2; exit 1; }
"""
"""It answers by verb and kind, and notes down what it was asked."""


@pytest.fixture
def answers() -> dict[str, Any]:
    found: dict[str, Any] = {f"get {kind}": {"items": READY[key]} for kind, key in LISTS.items()}
    return found | {"version ": {"serverVersion": {"gitVersion": READY["version"]}}, "patch ": READY["own_crd"]}


def preflight(folder: Path, answers: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    kubectl = folder / "kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    (folder / "answers").mkdir()
    for question, answer in answers.items():
        (folder / "answers" / question).write_text(json.dumps(answer) if answer else "")
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": "operator/preflight"}
    command = [sys.executable, "-m", "bertfinetune_preflight", *options]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=PROJECT)


def asked(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "asked").read_text().splitlines()]


def test_a_cluster_that_is_ready(tmp_path: Path, answers: dict[str, Any]) -> None:
    done = preflight(tmp_path, answers, "--kubeconfig=/here", "--context=there", "--namespace=research")
    golden = Path(__file__).with_name("golden") / "ready.txt"
    assert (done.returncode, done.stderr, done.stdout) == (0, "", golden.read_text())


def test_it_only_reads_and_from_the_cluster_that_was_named(tmp_path: Path, answers: dict[str, Any]) -> None:
    preflight(tmp_path, answers, "--kubeconfig=/here", "--context=there", "--namespace=research")
    questions = asked(tmp_path)
    assert {words[2] for words in questions if "--local" not in words} == {"get", "version"}
    assert all(words[:2] == ["--kubeconfig=/here", "--context=there"] for words in questions)


def test_without_a_namespace_none_is_looked_at(tmp_path: Path, answers: dict[str, Any]) -> None:
    done = preflight(tmp_path, answers)
    assert "none was named" in done.stdout
    kinds = {word for words in asked(tmp_path) for word in words}
    assert kinds & {"namespaces", "persistentvolumeclaims"} == set()


def test_a_cluster_with_nothing_is_not_ready(tmp_path: Path, answers: dict[str, Any]) -> None:
    """kubectl prints nothing at all where it finds nothing that was named."""
    empty = {question: {} if question.startswith("get ") else answer for question, answer in answers.items()}
    done = preflight(tmp_path, empty)
    golden = Path(__file__).with_name("golden") / "bare.txt"
    assert (done.returncode, done.stderr, done.stdout) == (1, "", golden.read_text())


@pytest.mark.parametrize("question", ["version ", "get nodes", "get persistentvolumeclaims"])
def test_without_an_answer_it_says_which_and_why(tmp_path: Path, answers: dict[str, Any], question: str) -> None:
    del answers[question]
    done = preflight(tmp_path, answers, "--namespace=research")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("preflight: kubectl ")
    assert "Forbidden" in done.stderr
    assert question.rsplit(maxsplit=1)[-1] in done.stderr


def test_our_own_crd_is_there() -> None:
    assert OWN_CRD == CRD
    assert OWN_CRD.is_file()
