"""Which runs a season plays, in which order, and how often it asks for their state."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from unittest import mock

import pytest

from node.season import ANY_TIME, FIRST, LAST, Latest, Part, Season, Stage, order, to_its_end, wanted


def part(name: str, turn: int = ANY_TIME) -> Part:
    return Part(name, lambda _: "", to_its_end, turn)


PARTS = {each.fixture: each for each in (part("live", LAST), part("bad-data"), part("oom"), part("mrpc", FIRST))}


@pytest.mark.parametrize(
    ("fixtures", "names"),
    [
        (["season", "oom", "installed"], ["oom"]),
        (["live", "bad_data", "mrpc", "oom"], ["mrpc", "bad-data", "oom", "live"]),
        (["installed"], []),
    ],
)
def test_only_runs_that_a_selected_test_looks_at_play(fixtures: list[str], names: list[str]) -> None:
    assert [each.name for each in wanted(PARTS, fixtures)] == names


def test_tests_beside_the_season_come_first_and_those_that_end_it_last() -> None:
    tests = [["alone", "season"], ["oom", "season"], ["target"]]
    assert sorted(tests, key=order) == tests[::-1]


def test_many_threads_that_look_ask_once() -> None:
    asked: list[int] = []

    def ask() -> dict[str, int]:
        asked.append(1)
        return {"runs": len(asked)}

    latest = Latest(ask, seconds=60)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: latest.look()["runs"], range(20))) == [1] * 20


def test_an_old_answer_is_asked_for_again() -> None:
    answers = iter(({"oom": 1}, {"oom": 2}))
    latest = Latest(lambda: next(answers), seconds=0)
    assert [latest.look(), latest.look()] == [{"oom": 1}, {"oom": 2}]


def test_a_run_may_begin_with_what_an_earlier_one_has_left() -> None:
    """The earlier one may be deleted by then."""
    stage = Stage(mock.Mock(), "", "", "", ExitStack())
    mrpc = Part("mrpc", lambda _: "", lambda _: "its folder", FIRST)
    resumed = Part("resumed", lambda stage: stage.plays["mrpc"].result(), lambda _: None, ANY_TIME)
    Season(stage, [mrpc, resumed]).result(resumed)
    assert stage.target.kubectl.run.call_args.kwargs["stdin"] == "its folder"
