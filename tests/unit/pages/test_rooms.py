"""The map of rooms in CONTRIBUTING.md has every folder of the project, and the operator's every module."""

import subprocess

from lab.cluster.layout import PROJECT
from pages.markdown import tokens

PAGE = "CONTRIBUTING.md"


def room(folder: list[str]) -> str:
    """The room that a file's folder belongs to: one below operator/ and tests/, two below for tests/lab/."""
    deep = 3 if folder[:2] == ["tests", "lab"] else 2 if folder[0] in ("tests", "operator") else 1
    return "/".join(folder[:deep]) if len(folder) >= deep else ""


def rooms() -> set[str]:
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, check=True, capture_output=True, text=True, cwd=PROJECT).stdout.splitlines()
    folders = [name.split("/")[:-1] for name in names if (PROJECT / name).is_file()]
    return {room(folder) for folder in folders if folder and folder[0][0] != "."} - {""}


def test_every_folder_is_on_the_map() -> None:
    cells = [token.content for token in tokens(PAGE) if token.type == "inline"]
    told = {word for cell in cells for word in cell.replace(",", " ").split()}
    assert rooms() - told == set()


def test_every_module_of_the_operator_is_in_a_room() -> None:
    package = PROJECT / "operator/src/bertfinetune_operator"
    modules = {file.stem for file in package.rglob("*.py")} - {"__init__"}
    cells = [token.content for token in tokens("operator/README.md") if token.type == "inline"]
    rooms = "".join(cell for cell in cells if cell.startswith(("`", "one question a file")))
    assert {module for module in modules if f"`{module}`" not in rooms} == set()
