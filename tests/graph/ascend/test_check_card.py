"""The checks of the first day on a card, on the simulation: what they see where all is well, and where it is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bert_trainer.check_card import __main__ as check_card
from bert_trainer.check_card import checks
from bert_trainer.check_card.__main__ import CHECKS
from support.trainer.places import NPU_SIMULATION, PROJECT

BY_NAME = {check.name: check for check in CHECKS}
PAGE = PROJECT / "trainer_image" / "docs" / "first-day-on-a-card.md"
SCRIPT = PROJECT / "trainer_image" / "test" / "check_card.sh"
ADD_GRAPH = "[GEOP] call ge session add graph failed - "
NO_MEMORY = "no device memory for graph 2 of this session"
REMEDY = "; start again, best on another card, and look at this one with npu-smi info"
INITIALIZE = "[GePlugin] Initialize ge failed, ret : failed - "


@pytest.fixture(autouse=True)
def log_of_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a card, and not as the tests' own."""
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)


OTHERWISE = [
    ("small-graph", "FAULT", "open", f"SIGABRT: {INITIALIZE}simulated device fault (open)"),
    ("small-graph", "FAULT", "graph", f"SIGABRT: {ADD_GRAPH}simulated device fault (graph)"),
    (
        "division",
        "UNSUPPORTED",
        "FloorDiv",
        f"SIGABRT: {ADD_GRAPH}no engine has a kernel for floordiv, which is of type FloorDiv",
    ),
    ("masks", "DROPOUT", "repeats", "1 masks in 4 steps, 2 in 2 places, 10 % dropped"),
    ("masks", "DROPOUT", "seedless", "4 masks in 4 steps, 1 in 2 places, 10 % dropped"),
    ("updates", "UPDATES", "last", "97 197"),
    ("overflows", "FLOAT_STATUS", "sticks", "1 1 1 1 1"),
    ("overflows", "FLOAT_STATUS", "kept", "1 1 2 3 3"),
    (
        "training",
        "GRAPHS",
        "1",
        f"exit code 69: --device=npu: {ADD_GRAPH}{NO_MEMORY} (ended by SIGABRT){REMEDY}",
    ),
]


@pytest.mark.parametrize(
    ("name", "variable", "value", "seen"),
    OTHERWISE,
    ids=[f"{name} {variable}={value}" for name, variable, value, _ in OTHERWISE],
)
def test_a_card_that_is_otherwise(
    monkeypatch: pytest.MonkeyPatch, name: str, variable: str, value: str, seen: str
) -> None:
    monkeypatch.setenv(f"ASCEND_SIM_{variable}", value)
    row = check_card.on_card(BY_NAME[name], 300)
    assert (row.seen, row.verdict) == (seen, "no")


def test_two_cards_that_hccl_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rank table has no addresses on a machine without /etc/hccn.conf."""
    cards = {"ASCEND_VISIBLE_DEVICES": "5,4", "ASCEND_SIM_CARDS": "4,5", "ASCEND_SIM_DEVICE_IP": "required"}
    for variable, value in cards.items():
        monkeypatch.setenv(variable, value)
    row = check_card.on_card(BY_NAME["two-cards"], 300)
    assert row.verdict == "no"
    assert re.match(r"exit code 69: .*\[HCCL\] RANK_TABLE_FILE=.*'device_ip'", row.seen), row.seen


# Docker's part: it says what it knows of the image, and runs the program.
DOCKER = """#!/usr/bin/env bash
if [[ $1 == image ]]; then
  if [[ $3 == *base.name* ]]; then echo ascend-tensorflow-arm:20.2.0; else echo "what Docker knows of $4"; fi
  exit
fi
printf '%s\\n' "$@" >"$DOCKER_ARGUMENTS"
while [[ $1 != -m ]]; do shift; done
exec "$TESTS_PYTHON" "$@"
"""
NPU_SMI = """#!/usr/bin/env bash
echo "| 0       910A         | OK            | 67.6       43                         |"
echo "| 0                    | 0000:C1:00.0  | 0          591  / 15039    $(($(date +%s) % 1000 + 100)) / 32255    |"
"""
# A server: two cards and the files of the driver in a /dev of its own, which ends with the processes.
SERVER = """
for node in null zero random urandom; do touch "$1/$node" && mount --bind "/dev/$node" "$1/$node"; done
ln -s /proc/self/fd "$1/fd"
mkdir "$1/shm" && mount -t tmpfs none "$1/shm"
mount --rbind "$1" /dev
shift
"$@"
"""


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """What a server has beside its cards."""
    programs, dev, ascend = (tmp_path / name for name in ("bin", "dev", "Ascend"))
    for folder in (programs, dev, ascend / "driver", ascend / "fwkacllib"):
        folder.mkdir(parents=True)
    for name, text in (("docker", DOCKER), ("npu-smi", NPU_SMI)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for name in ("davinci0", "davinci1", *check_card.CONTROL_FILES):
        (dev / name).touch()
        (dev / name).chmod(0o660)
    for name in ("driver", "fwkacllib"):
        (ascend / name / "version.info").write_text("Version=1.76.22.3.220\n")
    return tmp_path


def test_a_server_where_all_is_well(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It prints the table of the page, but for its notes, and what it asks of Docker are the rights of a pod."""
    for variable in ("ASCEND_SIM_CARDS", "ASCEND_VISIBLE_DEVICES"):
        monkeypatch.delenv(variable)
    environment = {
        "PATH": f"{server / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(NPU_SIMULATION), *sys.path]),
        "TESTS_PYTHON": sys.executable,
        "DOCKER_ARGUMENTS": str(server / "arguments"),
        "ASCEND_HOME": str(server / "Ascend"),
    }
    isolated = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-euc", SERVER, "bash", str(server / "dev")]
    done = subprocess.run(
        [*isolated, "bash", str(SCRIPT), "trainer:1"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table, versions = done.stdout.replace(str(server / "Ascend"), "/usr/local/Ascend").strip().split("\n\n")
    shown = set(map(shape, PAGE.read_text().splitlines()))
    assert [line for line in table.splitlines() if shape(line) not in shown] == []
    assert re.search(r"first step [\d.]+ s, evaluation [\d.]+ s, HBM \d+ to \d+ of 32255 MB, npu-simulated \|$", table)
    base = "ascend-tensorflow-arm:20.2.0"
    image = f"| image | trainer:1, what Docker knows of trainer:1; base {base}, what Docker knows of {base} |"
    assert image in versions.splitlines()
    assert "| /usr/local/Ascend/fwkacllib | Version=1.76.22.3.220 |" in versions.splitlines()
    arguments = (server / "arguments").read_text().splitlines()
    assert arguments[0] == "run"
    assert {
        *("--user=65532:65532", "--read-only", "--tmpfs=/tmp:exec", "--cap-drop=ALL", "--device=/dev/davinci0"),
        *("--security-opt=no-new-privileges", "--device=/dev/davinci_manager", "--device=/dev/hisi_hdc"),
        "--group-add=0",  # whose the files are, seen from the namespace
    } <= set(arguments)


def shape(line: str) -> str:
    """A row without its notes, which are of the machine."""
    return " | ".join(line.split(" | ")[:4])


@pytest.mark.parametrize("arguments", [["trainer:1"], []], ids=["by Docker", "as installed"])
def test_a_machine_without_a_card_is_told_so(tmp_path: Path, arguments: list[str]) -> None:
    environment = {**os.environ, "DAVINCI": str(tmp_path / "davinci")}
    command = ["bash", str(SCRIPT), *arguments]
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (69, f"check_card.sh: there is no {tmp_path}/davinci0 here\n")


def test_an_image_that_is_not_there_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    (tmp_path / "davinci0").touch()
    (tmp_path / "docker").write_text("#!/bin/sh\necho Error: No such image >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "DAVINCI": str(tmp_path / "davinci")}
    command = ["bash", str(SCRIPT), "trainer:1"]
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 64
    assert "Docker has no image trainer:1 here: run 'docker pull trainer:1', or build it" in done.stderr


def test_without_an_image_it_runs_what_is_installed(tmp_path: Path) -> None:
    for name in ("fwkacllib", "davinci0"):
        (tmp_path / name).mkdir()
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@" "$RANK_SIZE" "$PYTHONPATH"\n')
    (tmp_path / "python").chmod(0o755)
    own = {"PYTHON": tmp_path / "python", "ASCEND_HOME": tmp_path, "DAVINCI": tmp_path / "davinci"}
    environment = {**os.environ, **{name: str(path) for name, path in own.items()}, "PYTHONPATH": ""}
    done = subprocess.run(["bash", str(SCRIPT)], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == f"-m bert_trainer.check_card 1 {SCRIPT.parent}/../src\n"


@pytest.mark.parametrize("npu_smi", [None, "#!/bin/sh\necho another table\n"], ids=["no npu-smi", "another table"])
def test_memory_that_is_not_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, npu_smi: str | None) -> None:
    if npu_smi:
        (tmp_path / "npu-smi").write_text(npu_smi)
        (tmp_path / "npu-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with checks.HbmWatch() as memory:
        pass
    assert memory.words() == "npu-smi shows no memory"
