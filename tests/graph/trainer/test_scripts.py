"""The reference's way to start a training: `source env.sh; bash train_full_1p.sh --data_path=... --model_path=...`."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

from support.trainer.places import PROJECT

IMAGE = PROJECT / "trainer_image"
SMALL_RUN = ["--train_batch_size=8", "--learning_rate=1e-3", "--max_seq_length=32"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the scripts beside the real sources, so that their output lands elsewhere."""
    shutil.copytree(str(IMAGE / "test"), str(tmp_path / "test"), ignore=shutil.ignore_patterns("output"))
    (tmp_path / "src").symlink_to(IMAGE / "src")
    return tmp_path / "test"


def run(folder: Path, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    variables = dict({name: os.environ[name] for name in ("PATH", "HOME")}, PYTHON=sys.executable, **environment)
    command = ["bash", "-euc", script, "bash", *arguments]
    return subprocess.run(
        command,
        cwd=str(folder),
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def final_block(done: subprocess.CompletedProcess) -> List[str]:
    """Returns the last four lines, their numbers replaced by *."""
    return [re.sub(r"[\d.]+$", "*", line) for line in done.stdout.splitlines()[-4:]]


FINAL_BLOCK = [
    "---------Final Result--------",
    "Final Precision Accuracy : *",
    "Final Performance ms/step : *",
    "Final Training Duration sec : *",
]
# Every argument that the reference's script reads, beside the two folders.
REFERENCE_ARGUMENTS = [
    "--task_name=MRPC",
    "--precision_mode=allow_mix_precision",
    "--over_dump=False",
    "--data_dump_flag=False",
    "--data_dump_step=10",
    "--profiling=False",
    "--autotune=False",
]


@pytest.mark.parametrize(("script", "steps"), [("train_full_1p.sh", 15), ("train_performance_1p.sh", 5)])
def test_a_training_as_the_reference_starts_it(
    folder: Path, model_folder: Path, data_folder: Path, script: str, steps: int
) -> None:
    places = [f"--data_path={data_folder}", f"--ckpt_path={model_folder.parent}", f"--model_path={model_folder.name}"]
    done = run(folder, f'source env.sh; bash {script} "$@"', *REFERENCE_ARGUMENTS, *places, *SMALL_RUN)
    assert done.returncode == 0, done.stdout
    assert final_block(done) == FINAL_BLOCK
    (output,) = (folder / "output").iterdir()
    assert json.loads((output / "result.json").read_text())["steps"] == steps


def test_a_second_training_is_another_one(folder: Path, model_folder: Path, data_folder: Path) -> None:
    flags = [f"--data_path={data_folder}", f"--model_path={model_folder}", "--num_train_epochs=0.6", *SMALL_RUN]
    for _ in range(2):
        done = run(folder, 'bash train_full_1p.sh "$@"', *flags)
        assert (done.returncode, final_block(done)) == (0, FINAL_BLOCK), done.stdout
    outputs = list((folder / "output").iterdir())
    assert [json.loads((output / "result.json").read_text())["steps"] for output in outputs] == [3, 3]
    done = run(folder, 'bash train_full_1p.sh "$@"', *flags, f"--output_dir={outputs[0]}")
    assert done.returncode == 64
    assert "already finished" in done.stdout
    assert "Final" not in done.stdout


@pytest.mark.parametrize(
    "flag",
    ["--over_dump=True", "--data_dump_flag=True", "--data_dump_step=5", "--profiling=True", "--autotune=True"],
)
def test_what_is_not_supported_is_refused(folder: Path, flag: str) -> None:
    done = run(folder, 'bash train_full_1p.sh "$@"', "--data_path=d", "--model_path=m", flag)
    assert (done.returncode, done.stdout.splitlines()) == (
        64,
        [f"{flag}: not supported; leave it out, and use CANN's own tools for dumps, profiles and tuning"],
    )


def test_a_failed_training_says_why_and_reports_nothing(folder: Path, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.tsv").write_text("Quality\t#1 ID\n")
    (tmp_path / "data" / "dev.tsv").write_text("")
    places = [f"--data_path={tmp_path}/data", f"--model_path={model_folder}"]
    done = run(folder, 'bash train_full_1p.sh "$@"', *places, *SMALL_RUN)
    assert done.returncode == 65
    assert f"{tmp_path}/data/" in done.stdout.splitlines()[-1]
    assert "Final" not in done.stdout


@pytest.mark.parametrize(("flags", "exit_code"), [([], 64), (["--data_path=/nowhere", "--model_path=/nowhere"], 65)])
def test_the_exit_code_is_the_trainer_s(folder: Path, flags: List[str], exit_code: int) -> None:
    assert run(folder, 'bash train_full_1p.sh "$@"', *flags).returncode == exit_code


def test_the_card_is_taken_where_the_adapter_is_installed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "npu_bridge.py").write_text("raise ImportError('the adapter was asked for')")
    flags = ["--data_path=d", "--model_path=m"]
    done = run(folder, 'bash train_full_1p.sh "$@"', *flags, PYTHONPATH=str(tmp_path))
    assert (done.returncode, "the adapter was asked for" in done.stdout) == (64, True), done.stdout
    assert run(folder, 'bash train_full_1p.sh "$@"', *flags, "--device=cpu", PYTHONPATH=str(tmp_path)).returncode == 65


def test_a_card_without_its_adapter_is_an_error_and_not_the_cpu(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "davinci0").touch()
    here = {"DAVINCI": str(tmp_path / "davinci"), "ASCEND_HOME": str(tmp_path / "nothing")}
    done = run(folder, 'source env.sh; bash train_full_1p.sh "$@"', "--data_path=d", "--model_path=m", **here)
    assert done.returncode == 64
    assert f"this machine has Ascend cards, and {tmp_path}/nothing has no CANN" in done.stdout
    assert "--device=npu: No module named 'npu_bridge'; use the trainer's Ascend image" in done.stdout


TBE = "opp/op_impl/built-in/ai_core/tbe"
LAYOUTS = {  # what an installation makes and must be on the Python path, first to last
    "Ascend Hub's image": ["fwkacllib/python/site-packages", "tfplugin/python/site-packages", TBE],
    "nnae and tfplugin of 20.x": [
        "nnae/latest/fwkacllib/python/site-packages",
        "tfplugin/latest/tfplugin/python/site-packages",
        f"nnae/latest/{TBE}",
    ],
    "nnae, and tfplugin of 5.x": [
        "nnae/latest/fwkacllib/python/site-packages",
        "tfplugin/latest/python/site-packages",
        f"nnae/latest/{TBE}",
    ],
    "ascend-toolkit": [
        "ascend-toolkit/latest/fwkacllib/python/site-packages",
        "ascend-toolkit/latest/tfplugin/python/site-packages",
        f"ascend-toolkit/latest/{TBE}",
    ],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_env_sh_knows_how_cann_is_installed(folder: Path, tmp_path: Path, layout: str) -> None:
    for name in LAYOUTS[layout]:
        (tmp_path / name).mkdir(parents=True)
    printed = run(
        folder, 'source env.sh; echo "$PYTHONPATH"; echo "$RANK_SIZE"', ASCEND_HOME=str(tmp_path), PYTHONPATH=""
    )
    assert printed.stdout.splitlines() == [":".join(f"{tmp_path}/{name}" for name in LAYOUTS[layout]), "1"]


def test_env_sh_leaves_it_to_the_scripts_of_later_installations(folder: Path, tmp_path: Path) -> None:
    for name in ("ascend-toolkit", "tfplugin"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "set_env.sh").write_text(f"echo {name}")
    printed = run(folder, 'source env.sh; echo "$RANK_SIZE"', ASCEND_HOME=str(tmp_path))
    assert printed.stdout.splitlines() == ["ascend-toolkit", "tfplugin", "1"]


def printed_by(folder: Path, seen: Dict[str, str], **given: str) -> List[str]:
    return run(folder, 'source env.sh; for name; do echo "${!name-}"; done', *seen, **given).stdout.splitlines()


def test_env_sh_sets_cann_up_only_where_it_is(folder: Path, tmp_path: Path) -> None:
    seen = {"RANK_SIZE": "", "ASCEND_OPP_PATH": "", "ASCEND_DEVICE_ID": ""}
    assert printed_by(folder, seen, ASCEND_HOME=str(tmp_path / "Ascend")) == list(seen.values())


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({}, {"RANK_SIZE": "1", "ASCEND_DEVICE_ID": "0", "DEVICE_ID": ""}),
        ({"ASCEND_DEVICE_ID": "3"}, {"ASCEND_DEVICE_ID": "3", "DEVICE_ID": ""}),
        ({"DEVICE_ID": "3"}, {"ASCEND_DEVICE_ID": "", "DEVICE_ID": "3"}),  # which an ASCEND_DEVICE_ID would hide
    ],
)
def test_env_sh_takes_the_card_that_the_user_names(
    folder: Path, tmp_path: Path, given: Dict[str, str], seen: Dict[str, str]
) -> None:
    (tmp_path / "fwkacllib").mkdir()
    assert printed_by(folder, seen, ASCEND_HOME=str(tmp_path), **given) == list(seen.values())
