"""The `docker` commands for a real Ascend host, read as Docker would read them."""

import argparse

from pages.commands import Command, all_commands


def docker(verb: str) -> list[Command]:
    """The commands of an Ascend host's page with this subcommand."""
    return [command for command in all_commands() if command.needs and command.words[:2] == ["docker", verb]]


def parse_run(command: Command) -> argparse.Namespace:
    """The options of a `docker run`, as https://docs.docker.com/reference/cli/docker/container/run/ has them."""
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--rm", action="store_true", required=True)
    for once in ("--user", "--group-add", "--runtime"):
        parser.add_argument(once)
    for name, short in (("--device", "--device"), ("--volume", "-v"), ("--env", "-e")):
        parser.add_argument(name, short, action="append", default=[])
    parser.add_argument("image")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args(command.words[2:])
