"""`make preflight`: the table of checks, and a failure where something is missing that a run needs."""

import argparse
import sys
from collections.abc import Sequence

from bertfinetune_preflight.checks import CHECKS, Row
from bertfinetune_preflight.gather import GatherError, gather


def table(rows: Sequence[Row]) -> str:
    """A line a check, and below it what to do where it is not fulfilled."""
    cells = [("", "CHECK", "SEEN", "NEEDED"), *((row.verdict, row.check, row.seen, row.needed) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    remedies = ["", *(row.remedy for row in rows)]
    below = [f"\n{' ' * (widths[0] + 2)}-> {remedy}" if remedy else "" for remedy in remedies]
    return "\n".join(line + more for line, more in zip(lines, below, strict=True))


def summary(rows: Sequence[Row]) -> str:
    """The last line."""
    count = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("FAIL", "warn", "look")}
    if count["FAIL"]:
        return f"not ready: {count['FAIL']} of {len(rows)} checks failed"
    return f"ready, as far as the API server can tell; {count['warn']} to think about, {count['look']} to look at"


def main() -> int:
    """Run the command line: 0 where nothing that a run needs is missing, 1 where it is, 2 without an answer."""
    parser = argparse.ArgumentParser(
        prog="bertfinetune_preflight", description="Tells if a cluster is ready for a run."
    )
    parser.add_argument("--kubeconfig", default="", help="default: as kubectl has it")
    parser.add_argument("--context", default="", help="default: the current one")
    parser.add_argument("--namespace", default="", help="where runs will be; default: none is looked at")
    arguments = parser.parse_args()
    options = [f"--{name}={value}" for name in ("kubeconfig", "context") if (value := getattr(arguments, name))]
    try:
        seen = gather(options, arguments.namespace)
    except GatherError as error:
        print(f"preflight: {error}", file=sys.stderr)
        return 2
    rows = [check(seen) for check in CHECKS]
    print(table(rows), summary(rows), sep="\n\n")
    return int(any(row.verdict == "FAIL" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
