import urllib.error
from pathlib import Path

import pytest

from lab.cluster.errors import ClusterError
from lab.demo import mrpc

TRAIN = (
    '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t10\t11\tA "b\tC\r\n0\t20\t21\tD\tE"\r\n1\t30\t31\tF\tG\r\n'
)
DEV_IDS = "20\t21\r\n"


def test_split_keeps_quotes_and_parts_by_both_ids() -> None:
    train, dev = mrpc.split(TRAIN, DEV_IDS)
    assert train == ['1\t10\t11\tA "b\tC', "1\t30\t31\tF\tG"]
    assert dev == ['0\t20\t21\tD\tE"']


def test_download_writes_glue_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mrpc.download(tmp_path, {mrpc.TRAIN_URL: TRAIN, mrpc.DEV_IDS_URL: DEV_IDS}.__getitem__)
    assert (tmp_path / "train.tsv").read_text().splitlines()[0] == mrpc.HEADER
    assert (tmp_path / "dev.tsv").read_text().splitlines()[1:] == ['0\t20\t21\tD\tE"']
    assert "MRPC has 3668 and 408" in capsys.readouterr().out


def test_data_folder_without_dev_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").touch()
    with pytest.raises(ClusterError, match=r"dev\.tsv does not exist"):
        mrpc.choose(str(tmp_path), tmp_path / "cache")


def test_sample_where_the_corpus_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_url: str) -> str:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(mrpc, "_fetch", unreachable)
    assert mrpc.choose(None, tmp_path).folder == mrpc.SAMPLE
