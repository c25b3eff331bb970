"""Every relative link leads to a file, and to a heading in it where it names one; images are of this version."""

import re

import pytest
import yaml

from lab.cluster.layout import PROJECT
from pages.commands import all_commands
from pages.markdown import anchors, file_of, links, pages
from support.helm import CHART

ELSEWHERE = ("http://", "https://", "mailto:")


@pytest.mark.parametrize("page", pages())
def test_the_links_of(page: str) -> None:
    broken = []
    for link in links(page):
        target, _, anchor = link.partition("#")
        if link.startswith(ELSEWHERE):
            continue
        file = file_of(page, target) if target else PROJECT / page
        known = anchors(str(file.relative_to(PROJECT))) if file.suffix == ".md" and file.is_file() else set()
        if not file.exists() or (anchor and anchor not in known):
            broken.append(link)
    assert broken == []


def test_the_images_of_the_pages_are_of_this_version() -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    tags = {tag for command in all_commands() for tag in re.findall(r"bertfinetune/[\w-]+:([\w.]+)", command.text)}
    assert tags == {version}
