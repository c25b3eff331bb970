"""The commands that no test runs as they stand, with the reason, and how many are run: `python -m pages.listing`."""

from pages import exceptions
from pages.commands import all_commands

if __name__ == "__main__":
    commands = all_commands()
    listed = [(c, why) for c in commands if (why := c.exception or c.only_seen)]
    for command, why in listed:
        release = "before a release" if command.make_target in exceptions.LONG else "make -n"
        how = "not run" if command.exception else release
        print(f"{how}  {command.page}:{command.line}  {command.text.splitlines()[0]}: {why}")
    pages = {command.page for command in commands}
    print(
        f"{len(commands)} commands in {len(pages)} pages, of which {len(commands) - len(listed)} are run as they stand"
    )
