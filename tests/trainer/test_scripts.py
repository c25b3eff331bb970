"""The reference's way to start a training: `source env.sh; bash train_full_1p.sh --data_path=... --model_path=...`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

IMAGE = Path(__file__).resolve().parents[2] / "trainer_image"
SMALL_RUN = ["--train_batch_size=8", "--learning_rate=1e-3", "--num_train_epochs=1.0", "--max_seq_length=32"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the scripts beside the real sources, so that their output lands elsewhere."""
    shutil.copytree(str(IMAGE / "test"), str(tmp_path / "test"), ignore=shutil.ignore_patterns("output"))
    (tmp_path / "src").symlink_to(IMAGE / "src")
    return tmp_path / "test"


def run(folder: Path, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    variables = dict({name: os.environ[name] for name in ("PATH", "HOME")}, PYTHON=sys.executable, **environment)
    command = ["bash", "-euc", script, "bash", *arguments]
    return subprocess.run(command, cwd=str(folder), env=variables, stdout=subprocess.PIPE, text=True, check=False)


def test_a_training_as_the_reference_starts_it(folder: Path, model_folder: Path, data_folder: Path) -> None:
    places = ["--task_name=MRPC", "--data_path=" + str(data_folder), "--model_path=" + str(model_folder)]
    done = run(folder, 'source env.sh; bash train_full_1p.sh "$@"', *places, *SMALL_RUN)
    assert done.returncode == 0, done.stdout
    last = [line.split(" : ")[0] for line in done.stdout.splitlines()[-4:]]
    names = ["Final Precision Accuracy", "Final Performance ms/step", "Final Training Duration sec"]
    assert last == ["---------Final Result--------", *names]
    (output,) = (folder / "output").iterdir()
    assert (output / "result.json").exists()


@pytest.mark.parametrize(("flags", "exit_code"), [([], 64), (["--data_path=/nowhere", "--model_path=/nowhere"], 65)])
def test_the_exit_code_is_the_trainer_s(folder: Path, flags: List[str], exit_code: int) -> None:
    assert run(folder, 'bash train_full_1p.sh "$@"', *flags).returncode == exit_code


def test_the_card_is_taken_where_the_adapter_is_installed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "npu_bridge.py").write_text("raise ImportError('the adapter was asked for')")
    flags = ["--data_path=d", "--model_path=m"]
    done = run(folder, 'bash train_full_1p.sh "$@"', *flags, PYTHONPATH=str(tmp_path))
    assert (done.returncode, "the adapter was asked for" in done.stdout) == (64, True), done.stdout
    assert run(folder, 'bash train_full_1p.sh "$@"', *flags, "--device=cpu", PYTHONPATH=str(tmp_path)).returncode == 65


@pytest.mark.parametrize(
    ("installed", "seen"),
    [
        (False, {"RANK_SIZE": "", "ASCEND_OPP_PATH": ""}),
        (True, {"RANK_SIZE": "1", "ASCEND_DEVICE_ID": "3", "DEVICE_ID": "3"}),
    ],
)
def test_env_sh_sets_cann_up_only_where_it_is(
    folder: Path, tmp_path: Path, installed: bool, seen: Dict[str, str]
) -> None:
    if installed:
        (tmp_path / "Ascend" / "fwkacllib").mkdir(parents=True)
    ascend = {"ASCEND_HOME": str(tmp_path / "Ascend"), **({"ASCEND_DEVICE_ID": "3"} if installed else {})}
    printed = run(folder, 'source env.sh; for name; do echo "${!name-}"; done', *seen, **ascend)
    assert printed.stdout.splitlines() == list(seen.values())
