"""The commands in the project's Markdown, and for each the way in which a test shows that it is right."""

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pages import exceptions
from pages.markdown import Code, codes, pages

CONTAINER_TOOLS = ("docker", "buildah", "skopeo", "ctr")
"""Without an argument their subcommands are only mentioned: not every machine has all of them."""

PROGRAMS = frozenset(
    {
        *("make", "git", "bash", "sh", "source", "cd", "export", "mkdir", "rm", "tar", "uv", "pip", "lint-imports"),
        *("kubectl", "helm", "npu-smi", "sha256sum", *CONTAINER_TOOLS),
        *("python", "python3.7", "python3.11", "tensorboard"),
    }
)
"""What a piece of code in a sentence begins with when it is a command."""


FOR_CLUSTER = r"\b(kubectl|helm|m bertfinetune_operator|make preflight|make test-(api|node) TESTS)\b"
"""What only a command that needs a cluster says."""


class Command(NamedTuple):
    """A command as a reader would type it."""

    page: str
    line: int
    text: str
    needs: str = ""
    """What the page says that it needs and the tests' machine does not have: the word after `needs=`."""
    output: str = ""
    """What the page shows of its output."""

    @property
    def words(self) -> list[str]:
        """Its words without variables before it and comments behind it."""
        words = shlex.split(self.text.replace("\\\n", " "), comments=True)
        while words and re.match(r"\w+=", words[0]):
            words = words[1:]
        return words

    @property
    def make_target(self) -> str:
        """The target, of a `make`."""
        return next((word for word in self.words[1:] if "=" not in word), "") if self.words[0] == "make" else ""

    @property
    def is_a_name(self) -> bool:
        """Whether it is just the name of a subcommand or of a module: there is nothing to run yet."""
        return (self.words[0] in ("kubectl", "helm") and len(self.words) == 2) or (
            self.words[:2] == ["python", "-m"] and len(self.words) == 3
        )

    @property
    def runs_tests(self) -> bool:
        """Whether it runs tests that it names, in the project as it is; a whole tier would run this test again."""
        return bool(re.search(r"\bmake test-\w+ TESTS=| -m pytest ", self.text))

    @property
    def only_seen(self) -> str:
        """Why it is not run to its end but by `make -n`, or ""."""
        return "" if self.runs_tests else exceptions.MAKE.get(self.make_target, "")

    @property
    def is_for_cluster(self) -> bool:
        if self.is_a_name or self.exception:
            return False
        return self.make_target == "kubectl" or bool(re.search(FOR_CLUSTER, self.text))

    @property
    def exception(self) -> str:
        """Why it is not run, or ""."""
        by_page, by_need = exceptions.PAGES.get(self.page), exceptions.NEEDS.get(self.needs)
        return by_page or by_need or look_up(exceptions.COMMANDS, self.text) or ""


Block = tuple[Command, ...]
"""Commands that belong together: those of one code block."""


def blocks(page: str) -> list[Block]:
    """The commands of a page, block by block."""
    return [block for code in codes(page) if (block := tuple(commands_in(code)))]


def all_commands() -> list[Command]:
    return [command for page in pages() for block in blocks(page) for command in block]


def look_up(table: Mapping[str, Any], text: str) -> Any:
    """What a table of patterns says about a command, or None."""
    return next((value for pattern, value in table.items() if re.fullmatch(pattern, text, re.DOTALL)), None)


def commands_in(code: Code) -> Iterator[Command]:
    language, _, more = (code.info or "").partition(" ")
    if code.info is None:
        command = Command(code.page, code.line, code.text)
        words = command.words
        is_mentioned = words[:1] and words[0] in CONTAINER_TOOLS and all(word.isalpha() for word in words)
        if len(words) > 1 and words[0] in PROGRAMS and not is_mentioned:
            yield command
    elif language == "console":
        yield from _in_block(code, more.removeprefix("needs="))


def _in_block(code: Code, needs: str) -> Iterator[Command]:
    """With `$ ` before some lines these are the commands and the others their output; else every line is a command."""
    lines = code.text.splitlines()
    prompt = "$ " if any(line.startswith("$ ") for line in lines) else ""
    found: list[Command] = []
    text = ""
    for number, line in enumerate(lines, start=code.line + 1):
        if text or (line.startswith(prompt) and line.strip() and not line.startswith("#")):
            text = f"{text}\n{line}" if text else line.removeprefix(prompt)
            if is_whole(text):
                found.append(Command(code.page, number, text, needs))
                text = ""
        elif found and prompt:
            found[-1] = found[-1]._replace(output=f"{found[-1].output}{line}\n")
    if text:
        raise ValueError(f"{code.page}:{code.line}: the command does not end: {text}")
    yield from found


def is_whole(text: str) -> bool:
    """Whether a command ends here: no backslash, open quote, loop or here-document leads to the next line."""
    done = subprocess.run(["bash", "-n", "-c", text], check=False, capture_output=True)
    return done.returncode == 0 and not done.stderr and not text.endswith("\\")
