import os
import subprocess
import tarfile
from pathlib import Path

from lab.cluster.layout import PROJECT
from lab.images import bundle, shipped
from lab.images.shipped import Shipped


def pack(folder: Path, umask: int, date: int) -> Path:
    """A bundle of small files that somebody else packs at another time."""
    folder.mkdir()
    before = os.umask(umask)
    try:
        files = {name: folder / name for name in ("b", "a")}
        for name, path in files.items():
            path.write_text(f"content of {name}\n")
            os.utime(path, (date, date))
        archive = folder / "bundle.tar"
        bundle.write(archive, "bertfinetune", {f"{name}/file": path for name, path in files.items()})
    finally:
        os.umask(before)
    return archive


def test_the_same_files_make_the_same_archive(tmp_path: Path) -> None:
    first, second = pack(tmp_path / "1", 0o022, 1_000_000_000), pack(tmp_path / "2", 0o077, 1_700_000_000)
    assert first.read_bytes() == second.read_bytes()


def test_damage_does_not_pass_the_checksums(tmp_path: Path) -> None:
    archive = pack(tmp_path / "1", 0o022, 0)
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    check = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    folder = tmp_path / "bertfinetune"
    assert subprocess.run(check, check=False, cwd=folder).returncode == 0
    (folder / "a/file").write_text("content of c\n")
    done = subprocess.run(check, check=False, cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "a/file: FAILED\n")


def test_it_holds_all_that_a_site_needs() -> None:
    image = Shipped("bertfinetune/operator:1", Path("operator.tar.gz"), Path("operator.spdx.json"))
    files = bundle.contents([image], Path("bertfinetune-operator-1.tgz"))
    assert {path.partition("/")[0] for path in files} == {
        *("README.md", "LICENSE", "bertfinetune-operator-1.tgz"),
        *("claims", "crds", "dashboards", "images", "prometheus", "rules", "runbooks", "samples", "sbom"),
    }
    assert {"images/operator.tar.gz", "sbom/operator.spdx.json", "crds/bertfinetunes.bertfinetune.dev.yaml"} < set(
        files
    )
    chart = PROJECT / "charts/bertfinetune-operator/files"
    shown = {path.name for folder in ("dashboards", "rules", "runbooks") for path in (chart / folder).iterdir()}
    assert shown <= {path.rpartition("/")[2] for path in files}


def test_the_page_speaks_of_this_version() -> None:
    page = (PROJECT / "operator/docs/air-gap.md").read_text()
    assert f" VERSION={shipped.version()}\n" in page
