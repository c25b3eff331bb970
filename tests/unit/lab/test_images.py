from pathlib import Path

import pytest

from lab.cluster.layout import PROJECT
from lab.images import images
from lab.images.images import Image


@pytest.fixture
def image(tmp_path: Path) -> Image:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("print(1)\n")
    return Image("program", tmp_path, ("Dockerfile", "src"))


def reference(image: Image) -> str:
    images._digest.cache_clear()
    return image.reference("registry.example.com/team")


def test_tag_follows_the_content_and_nothing_else(image: Image) -> None:
    first = reference(image)
    assert first.startswith("registry.example.com/team/program:")
    (image.context / "README.md").write_text("not copied into the image")
    (image.context / "src" / "__pycache__").mkdir()
    (image.context / "src" / "__pycache__" / "main.pyc").write_bytes(b"compiled")
    assert reference(image) == first
    (image.context / "src" / "main.py").write_text("print(2)\n")
    assert reference(image) != first


def test_tag_follows_the_parent_image(image: Image, tmp_path: Path) -> None:
    child = Image("child", tmp_path / "child", (), parent=image)
    before = reference(child)
    (image.context / "src" / "main.py").write_text("print(3)\n")
    assert reference(child) != before


@pytest.mark.parametrize(
    "image",
    [images.OPERATOR, images.TRAINER, images.TRAINER_ASCEND_SIM, images.DEVICE_PLUGIN_SIM],
    ids=lambda i: i.name,
)
def test_every_source_of_the_catalogue_exists(image: Image) -> None:
    for source in image.sources:
        assert (image.context / source).exists(), f"{image.name}: {source}"


def test_the_real_trainer_image_holds_no_simulation() -> None:
    files = [str(path.relative_to(PROJECT)) for path in images._files(images.TRAINER)]
    assert files
    assert not [path for path in files if "/ascend/" in path or "npu_bridge" in path]
