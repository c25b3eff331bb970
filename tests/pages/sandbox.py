"""A copy of the project where commands may leave something behind: its own folders are copied, the others linked."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from lab.cluster.layout import CACHE, PROJECT
from lab.demo.mrpc import SAMPLE

TRAINER = PROJECT / ".build/venv/trainer/bin"
PROGRAMS = (TRAINER, PROJECT / ".build/venv/dev/bin", PROJECT / ".build/bin")

OWN = [PROJECT / name for name in ("", "trainer_image", "trainer_image/docs", "trainer_image/test", ".build")]
"""Folders that the copy has of its own, with copies of the files in them and links to their other folders."""

MODELS = ("minilm", "BertBase_ckpt", "BertLarge_ckpt")
"""Folders with weights that the pages name: in their place stands a model of two layers, which trains in seconds."""

WRITE_MODELS = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from support.trainer import small_bert
small_bert.CONFIG = small_bert.BertConfig(**dict(small_bert.CONFIG.__dict__, max_position_embeddings=128))
for name in sys.argv[2:]:
    folder = pathlib.Path(name)
    folder.mkdir()
    small_bert.write_model(folder)
"""


def make(folder: Path) -> Path:
    """Make the copy in an empty folder, with weights and pairs where the pages look for them."""
    _fill(PROJECT, folder)
    test = folder / "trainer_image/test"
    models = [test / name for name in MODELS]
    write_models(models)
    write_pairs(test / "glue_data/MRPC", train=64, dev=32)
    weights = CACHE / "weights"  # real ones, which are made once a machine
    weights.mkdir(parents=True, exist_ok=True)
    (folder / "weights").symlink_to(weights)
    results = folder / ".build/accuracy"  # not the project's own, which a page deletes
    results.unlink(missing_ok=True)
    results.mkdir()
    return folder


def write_models(folders: Iterable[Path]) -> None:
    """Make each folder, with a model of two layers in it."""
    subprocess.run([TRAINER / "python", "-c", WRITE_MODELS, PROJECT / "tests", *folders], check=True)


def write_pairs(folder: Path, *, train: int, dev: int) -> None:
    """Write the first pairs of the project's sample as MRPC's three files; the test set is dev without its labels."""
    folder.mkdir(parents=True)
    for name, rows in (("train.tsv", train), ("dev.tsv", dev)):
        lines = (SAMPLE / name).read_text(encoding="utf-8-sig").splitlines()[: rows + 1]
        (folder / name).write_text("\n".join(lines) + "\n")
    unlabelled = [line.partition("\t")[2] for line in lines]
    indexed = [f"{number}\t{line}" for number, line in enumerate(unlabelled[1:])]
    (folder / "test.tsv").write_text("\n".join([f"index\t{unlabelled[0]}", *indexed]) + "\n")


def environment() -> dict[str, str]:
    """The environment of somebody who has what the pages ask for: the programs, and nothing else."""
    kept = {name: os.environ[name] for name in ("HOME", "XDG_CACHE_HOME") if name in os.environ}
    return kept | {"PATH": ":".join([*map(str, PROGRAMS), os.environ["PATH"]])}


def at_home(text: str) -> str:
    """A command in the project itself, with the PATH that the tests were started with.

    The Makefile makes an environment anew when it finds another Python, and `environment()` leads to another one.
    """
    variables = [f"{name}={shlex.quote(os.environ[name])}" for name in ("PATH", "PYTHON37") if name in os.environ]
    return f"(cd {shlex.quote(str(PROJECT))} && export {' '.join(variables)} && {text})"


def _fill(source: Path, folder: Path) -> None:
    for entry in source.iterdir():
        if entry in OWN:
            (folder / entry.name).mkdir()
            _fill(entry, folder / entry.name)
        elif entry.is_file():
            shutil.copy2(entry, folder)
        else:
            (folder / entry.name).symlink_to(entry)
