"""Argo CD's health check for a BertFinetune, run by the Lua that Argo CD has: 5.1."""

from typing import Any

import pytest
import yaml
from lupa.lua51 import LuaRuntime

from bertfinetune_operator import contract
from bertfinetune_operator.api.status import PHASES, UNSEEN
from support import builders as make
from support.helm import CHART

Raw = dict[str, Any]
CONFIG_MAP: Raw = yaml.safe_load((CHART / "files/argo-cd/argocd-cm.yaml").read_text())
[(KEY, SCRIPT)] = CONFIG_MAP["data"].items()


def health(status: Raw | None, generation: int = 1) -> tuple[str, str]:
    """Status and message, of an object with this status."""
    lua = LuaRuntime()
    check = lua.eval(f"function(obj) {SCRIPT} end")
    told = check(lua.table_from(make.bertfinetune(status, generation=generation), recursive=True))
    return told["status"], told["message"]


def test_it_is_found_under_the_kinds_own_key() -> None:
    assert f"resource.customizations.health.{contract.GROUP}_{contract.KIND}" == KEY


@pytest.mark.parametrize("status", [None, {}, UNSEEN])
def test_an_object_that_nobody_has_seen_is_progressing(status: Raw | None) -> None:
    assert health(status) == ("Progressing", "no operator has seen the object yet")


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_is_a_health(phase: str) -> None:
    status = {"phase": phase, "reason": "Why", "message": "in words", "observedGeneration": 1}
    known = {"Succeeded": "Healthy", "Failed": "Degraded", "Suspended": "Suspended"}
    assert health(status) == (known.get(phase, "Progressing"), "Why: in words")
    assert health(status, generation=2) == ("Progressing", "no operator has seen the newest change yet")
