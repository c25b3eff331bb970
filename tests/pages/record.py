"""Which pages have changed since all their commands were last run: `python -m pages.record [--changed]`.

Without an option it writes the record, which `make test-pages` does after a run of all pages.
With `--changed` it names the pages that differ from the record.
"""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from pages.commands import commands_in
from pages.markdown import codes, pages

FILE = Path(__file__).with_name("followed.txt")
Record = Mapping[str, str]
"""The sha256 of what is run of a page, by page."""


def digest(page: str) -> str:
    """The sha256 of the page's commands, their output and its manifests, or "" where it has none: prose is not run."""
    run = [f"{code.info}\n{code.text}" for code in codes(page) if code.info == "yaml" or any(commands_in(code))]
    return hashlib.sha256("\0".join(run).encode()).hexdigest() if run else ""


def digests() -> Record:
    """What the record would be now."""
    return {page: found for page in pages() if (found := digest(page))}


def changed(now: Record, recorded: Record) -> set[str]:
    """The pages that are new or differ from the record; a page that is gone has nothing to run."""
    return {page for page, found in now.items() if recorded.get(page) != found}


def parse(text: str) -> Record:
    """A record as `dump` writes it."""
    rows = (line.partition("  ") for line in text.splitlines())
    return {page: found for found, _, page in rows}


def dump(record: Record) -> str:
    """One line a page, as sha256sum prints them."""
    return "".join(f"{found}  {page}\n" for page, found in sorted(record.items()))


def pages_to_run() -> set[str]:
    """The pages that differ from the checked-in record."""
    return changed(digests(), parse(FILE.read_text()) if FILE.exists() else {})


if __name__ == "__main__":
    if sys.argv[1:] == ["--changed"]:
        print("\n".join(sorted(pages_to_run())))
    else:
        FILE.write_text(dump(digests()))
        print(f"{FILE.name}: {len(digests())} pages recorded")
