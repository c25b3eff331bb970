"""Where the demo's sentence pairs come from: the person's folder, the official MRPC, or the project's own sample."""

import csv
import io
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.cluster.errors import ClusterError

SAMPLE = Path(__file__).parent / "paraphrase_sample"
# The places that GLUE's own download script takes the corpus from. Its licence does not allow to ship it.
TRAIN_URL = "https://dl.fbaipublicfiles.com/senteval/senteval_data/msr_paraphrase_train.txt"
DEV_IDS_URL = "https://dl.fbaipublicfiles.com/glue/data/mrpc_dev_ids.tsv"
HEADER = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"
TRAINING_PAIRS, DEV_PAIRS = 3668, 408  # Dolan & Brockett 2005, as GLUE splits it
Fetch = Callable[[str], str]


@dataclass(frozen=True)
class Corpus:
    """A folder with train.tsv and dev.tsv, and what to call it in front of people."""

    folder: Path
    description: str


def choose(data: str | None, cache: Path) -> Corpus:
    """The person's ``DATA`` folder if given, else the official corpus if it can be had, else the sample."""
    if data:
        folder = Path(data)
        for name in ("train.tsv", "dev.tsv"):
            if not (folder / name).is_file():
                raise ClusterError(
                    f"DATA={data}: {folder / name} does not exist; give a folder with train.tsv and dev.tsv"
                )
        return Corpus(folder.resolve(), f"your data in {data}")
    folder = cache / "MRPC"
    if not (folder / "dev.tsv").is_file():
        try:
            download(folder)
        except (OSError, urllib.error.URLError) as error:
            print(f"    the official MRPC cannot be downloaded here ({error})", flush=True)
            return Corpus(SAMPLE, "the small paraphrase sample that ships with the project (not MRPC)")
    return Corpus(folder, "the official MRPC")


def download(folder: Path, fetch: Fetch | None = None) -> None:
    """Fetch the corpus and write train.tsv and dev.tsv as GLUE splits them; OSError where it cannot be reached."""
    fetch = fetch or _fetch
    print("==> downloading MRPC", flush=True)
    train, dev = split(fetch(TRAIN_URL), fetch(DEV_IDS_URL))
    if (len(train), len(dev)) != (TRAINING_PAIRS, DEV_PAIRS):
        print(
            f"    warning: {len(train)} training and {len(dev)} dev pairs, MRPC has {TRAINING_PAIRS} and {DEV_PAIRS}",
            flush=True,
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train.tsv", train), ("dev.tsv", dev)):  # dev.tsv last: it marks a complete folder
        (folder / name).write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")


def split(train_text: str, dev_ids_text: str) -> tuple[list[str], list[str]]:
    """Part the lines of msr_paraphrase_train.txt into training and dev lines by the dev list's (#1 ID, #2 ID)."""
    dev_ids = {tuple(row[:2]) for row in _rows(dev_ids_text)}
    train: list[str] = []
    dev: list[str] = []
    for row in list(_rows(train_text))[1:]:
        (dev if (row[1], row[2]) in dev_ids else train).append("\t".join(row))
    return train, dev


def _rows(text: str) -> Iterable[list[str]]:
    """Tab-separated fields; quotes are text, because MRPC's sentences hold unbalanced ones."""
    return csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter="\t", quoting=csv.QUOTE_NONE)


def _fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=15) as response:
        return response.read().decode("utf-8")
