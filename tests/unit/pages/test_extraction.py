"""What counts as a command, and what it takes for a page's output to be the real one."""

import pytest

from pages import commands, markdown
from pages.commands import Command, blocks, is_whole
from pages.practice import missing_line

PAGE = """\
Run `make demo`, not `make`; `kubectl get` shows it, `spec.task` and `docker load` do not.

```console
$ kubectl get bft \\
    -o wide
NAME   PHASE
$ echo 'two
lines'   # of text
```

1. In a list:

   ```console needs=ascend
   $ npu-smi info
   ```

```console
kubectl get bft    # without a prompt

# a remark
```

```yaml
make: demo
```
"""
"""A page with each kind of code."""


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("pages")
    monkeypatch.setattr(markdown, "PROJECT", folder)
    (folder / "page.md").write_text(PAGE)
    return "page.md"


def test_the_commands_of_a_page(page: str) -> None:
    markdown.tokens.cache_clear()
    assert blocks(page) == [
        (Command(page, 1, "make demo"),),
        (Command(page, 1, "kubectl get"),),
        (
            Command(page, 5, "kubectl get bft \\\n    -o wide", output="NAME   PHASE\n"),
            Command(page, 8, "echo 'two\nlines'   # of text"),
        ),
        (Command(page, 14, "npu-smi info", needs="ascend"),),
        (Command(page, 18, "kubectl get bft    # without a prompt"),),
    ]


def test_a_command_without_end_is_named() -> None:
    code = markdown.Code("page.md", 7, "console", "$ echo 'no end\n")
    with pytest.raises(ValueError, match=r"page\.md:7: the command does not end: echo 'no end"):
        list(commands.commands_in(code))


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("a", True),
        ("a \\", False),
        ("a 'b", False),
        ("a 'b\nc'", True),
        ("a  # it's", True),
        ("for a in b; do", False),
        ("for a in b; do\n c\ndone", True),
        ("a <<E\nb", False),
        ("a <<E\nb\nE", True),
    ],
)
def test_where_a_command_ends(text: str, whole: bool) -> None:
    assert is_whole(text) == whole


@pytest.mark.parametrize(
    ("shown", "printed", "missing"),
    [
        ("", "anything", ""),
        ("step 30/135 (22%) loss 0.6187", "step 7/9 (3%) loss 1.0e-05\nmore", ""),
        ("NAME   PHASE\n...\n", "NAME     PHASE  \n", ""),
        ("a 1\nb 2", "b 1\na 2", ""),
        ("accuracy 0.8", "accuracy none", "accuracy 0.8"),
        ("a\nb", "a", "b"),
    ],
)
def test_what_a_page_shows_must_be_printed(shown: str, printed: str, missing: str) -> None:
    assert missing_line(shown, printed) == missing


def test_no_command_hides_in_another_kind_of_block() -> None:
    """Only `console` is run; `text` is what something printed."""
    hidden = [
        f"{code.page}:{code.line}: {line}"
        for page in markdown.pages()
        for code in markdown.codes(page)
        if code.info is not None and code.info.split(" ")[0] not in ("console", "text")
        for line in code.text.splitlines()
        if line.removeprefix("$ ").split(" ")[0] in commands.PROGRAMS or line.startswith("$ ")
    ]
    assert hidden == []
