"""Every simulated name has the parameters published for the CANN 20.2 era, and no module has a name that was not.

Sources: npu_bridge-r1.2.0.tsv beside this file, and the HCCL reference for hccl, which CANN brings.
"""

from __future__ import annotations

import csv
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

import hccl.manage.api as hccl_manage
import hccl.split.api as hccl_split
import npu_bridge
from npu_bridge import npu_init
from npu_bridge.estimator.npu import npu_config
from npu_bridge.estimator.npu_unary_ops import npu_unary_ops

TABLE = Path(__file__).with_name("npu_bridge-r1.2.0.tsv")
PUBLISHED = list(csv.DictReader(TABLE.read_text().splitlines()[1:], delimiter="\t", quoting=csv.QUOTE_NONE))
SIMULATED = [row for row in PUBLISHED if row["simulated"] == "yes"]
MODULES = sorted({row["module"] for row in SIMULATED})
WORLD = "group='hccl_world_group'"
OTHERS = [
    (npu_unary_ops.gelu, "x, name=None"),  # of the adapter's operators, which its library registers
    (hccl_manage.create_group, "group, rank_num, rank_ids"),
    (hccl_manage.destroy_group, "group"),
    (hccl_manage.get_rank_size, WORLD),
    (hccl_manage.get_rank_id, WORLD),
    (hccl_manage.get_local_rank_size, WORLD),
    (hccl_manage.get_local_rank_id, WORLD),
    (hccl_manage.get_world_rank_from_group_rank, "group, group_rank_id"),
    (hccl_manage.get_group_rank_from_world_rank, "world_rank_id, group"),
    (hccl_split.set_split_strategy_by_idx, f"idxList, {WORLD}"),
    (hccl_split.set_split_strategy_by_size, f"dataSizeList, {WORLD}"),
]


def parameters_of(published: Any) -> str:
    function = published.__init__ if inspect.isclass(published) else published
    if inspect.isclass(published) and issubclass(published, tuple):
        function = published.__new__
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in {"self", "cls"}
    ]
    return ", ".join(map(str, parameters))


def named(row: dict[str, str]) -> str:
    return f"{row['module'].rpartition('.')[2]}.{row['name']}"


@pytest.mark.parametrize("row", [row for row in SIMULATED if row["parameters"] != "-"], ids=named)
def test_parameters(row: dict[str, str]) -> None:
    assert parameters_of(getattr(importlib.import_module(row["module"]), row["name"])) == row["parameters"]


@pytest.mark.parametrize(("function", "parameters"), OTHERS, ids=lambda value: getattr(value, "__name__", ""))
def test_parameters_of_the_others(function: Any, parameters: str) -> None:
    assert parameters_of(function) == parameters


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_the_names_that_the_table_calls_simulated_and_no_others(module: str) -> None:
    simulated = importlib.import_module(module)
    own = {
        name
        for name, value in vars(simulated).items()
        if not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value))
        if value.__module__ == module
    }
    listed = {row["name"] for row in SIMULATED if row["module"] == module}
    assert own <= listed
    assert all(hasattr(simulated, name) for name in listed)


def test_modules_without_a_simulated_name_are_not_there() -> None:
    for module in sorted({row["module"] for row in PUBLISHED} - {*MODULES}):
        with pytest.raises(ImportError):
            importlib.import_module(module)


def test_the_table_has_all_arguments_of_the_run_config() -> None:
    (row,) = [row for row in PUBLISHED if row["name"] == "NPURunConfig"]
    assert len(row["parameters"].split(", ")) == 42
    assert len(PUBLISHED) == 88


def test_star_import_is_of_this_era() -> None:
    names = set(npu_init.__all__)
    assert all(hasattr(npu_init, name) for name in names)
    for word in ("Optimizer", "Estimator", "Manager", "Config"):
        assert {row["name"] for row in SIMULATED if word in row["name"]} <= names
    # They came with r1.3.0: a script for CANN 20.2 must do without them.
    assert not {"npu_config_proto", "npu_run_config_init", "npu_hooks_append"} & set(vars(npu_init))


def test_package_says_that_it_is_simulated() -> None:
    assert npu_bridge.SIMULATED is True


def test_unknown_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="jit_compile"):
        npu_config.NPURunConfig(jit_compile=True)
