"""Which pages are run by `make test`: those whose commands differ from the record."""

import pytest

from pages import markdown, record

PAGE = """\
Run `make demo`.

```console
$ kubectl get bft
NAME
```

```yaml
kind: Job
```
"""


@pytest.mark.parametrize(
    ("now", "recorded", "changed"),
    [
        ({}, {}, set()),
        ({"a": "1", "b": "2"}, {"a": "1", "b": "2"}, set()),
        ({"a": "1", "b": "3"}, {"a": "1", "b": "2"}, {"b"}),
        ({"a": "1", "new": "2"}, {"a": "1"}, {"new"}),
        ({"a": "1"}, {"a": "1", "gone": "2"}, set()),
        ({"a": "1", "b": "2"}, {}, {"a", "b"}),
    ],
)
def test_what_has_changed(now: record.Record, recorded: record.Record, changed: set[str]) -> None:
    assert record.changed(now, recorded) == changed


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ("Run `make demo`.", "Just run `make demo`, with `spec.task`.", False),
        ("```console", "More.\n\n```text\nprinted\n```\n\n```console", False),
        ("make demo", "make check", True),
        ("get bft", "get bft --watch", True),
        ("NAME", "NAME   PHASE", True),
        ("```console", "```console needs=ascend", True),
        ("kind: Job", "kind: Pod", True),
    ],
)
def test_what_counts_of_a_page(
    old: str, new: str, differs: bool, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert old in PAGE
    folder = tmp_path_factory.mktemp("pages")
    monkeypatch.setattr(markdown, "PROJECT", folder)
    (folder / "before.md").write_text(PAGE)
    (folder / "after.md").write_text(PAGE.replace(old, new, 1))
    markdown.tokens.cache_clear()
    assert (record.digest("before.md") != record.digest("after.md")) == differs
    markdown.tokens.cache_clear()


def test_a_page_without_commands_has_nothing_to_record(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("pages")
    monkeypatch.setattr(markdown, "PROJECT", folder)
    (folder / "prose.md").write_text("Only prose, and `a name`.\n")
    assert record.digest("prose.md") == ""


def test_the_file_says_what_was_written() -> None:
    known = {"README.md": "1f", "operator/docs/a page.md": "2e"}
    assert record.parse(record.dump(known)) == known
    assert record.dump(known) == "1f  README.md\n2e  operator/docs/a page.md\n"
