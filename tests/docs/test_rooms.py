"""The map of rooms in CONTRIBUTING.md has every folder of the project."""

import subprocess

from cluster.layout import PROJECT
from docs.markdown import tokens

PAGE = "CONTRIBUTING.md"


def folders() -> set[str]:
    """The project's folders that hold files: those at its root, and of tests/ and operator/ the ones below."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, check=True, capture_output=True, text=True, cwd=PROJECT).stdout.splitlines()
    parts = [name.split("/")[:-1] for name in names]
    deep = {"/".join(part[:2]) for part in parts if len(part) > 1 and part[0] in ("tests", "operator")}
    return deep | {part[0] for part in parts if part and part[0] not in ("tests", "operator") and part[0][0] != "."}


def test_every_folder_is_on_the_map() -> None:
    cells = [token.content for token in tokens(PAGE) if token.type == "inline"]
    told = {word for cell in cells for word in cell.replace(",", " ").split()}
    assert folders() - told == set()
