"""The project's Markdown: its pages, and of each the code, the links and the headings."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from lab.cluster.layout import PROJECT

PARSER = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Code:
    """A fenced or indented block, or a piece of code in a sentence (`info` is then None)."""

    page: str
    line: int
    """Where it is, or the paragraph around it."""
    info: str | None
    text: str


def pages() -> list[str]:
    """Every Markdown file of the project, relative to its root."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "*.md"]
    names = subprocess.run(listing, check=True, capture_output=True, text=True, cwd=PROJECT).stdout.splitlines()
    return sorted(name for name in names if (PROJECT / name).is_file())


@cache
def tokens(page: str) -> list[Token]:
    return PARSER.parse((PROJECT / page).read_text())


def codes(page: str) -> Iterator[Code]:
    """The code on a page, in order."""
    for token in tokens(page):
        line = token.map[0] + 1 if token.map else 0
        if token.type in ("fence", "code_block"):
            yield Code(page, line, token.info, token.content)
        yield from (Code(page, line, None, c.content) for c in token.children or () if c.type == "code_inline")


def links(page: str) -> list[str]:
    """The targets of links and images."""
    children = [child for token in tokens(page) for child in token.children or ()]
    found = [child.attrGet("href") or child.attrGet("src") for child in children]
    return [str(target) for target in found if target]


def anchors(page: str) -> set[str]:
    """What `#...` may name: the headings as GitHub turns them into identifiers; a repeated one is numbered."""
    found: dict[str, int] = {}
    for opening, heading in zip(tokens(page), tokens(page)[1:], strict=False):
        if opening.type == "heading_open":
            words = "".join(child.content for child in heading.children or ())
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
    return {f"{slug}-{n}" if n else slug for slug, last in found.items() for n in range(last + 1)}


def file_of(page: str, target: str) -> Path:
    """The file that a relative link leads to."""
    return ((PROJECT / page).parent / target).resolve()
