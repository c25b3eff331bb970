"""The run's history survives what processes do to each other."""

import json
from pathlib import Path

from bert_trainer.output.folder import RunFolder
from bert_trainer.output.history import FILE, History

FIRST = {"epoch": 1.0, "step": 3, "accuracy": 0.5}
SECOND = {"epoch": 2.0, "step": 6, "accuracy": 0.75}


def written(folder: RunFolder) -> History:
    """Returns the history of six steps and two evaluations."""
    folder.path.mkdir(parents=True, exist_ok=True)
    history = History(folder, 0)
    for step in range(1, 7):
        history.add_loss(step, step / 8)
        if step % 3 == 0:
            history.add(FIRST if step == 3 else SECOND)
    return history


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    history = written(RunFolder(tmp_path))
    again = History(RunFolder(tmp_path), 6)
    for seen in (history, again):
        assert seen.evaluations == [FIRST, SECOND]
        assert seen.losses(0, 6) == [0.125, 0.25, 0.375, 0.5, 0.625, 0.75]
        assert seen.losses(3, 5) == [0.5, 0.625]


def test_a_run_that_resumes_forgets_what_came_later(tmp_path: Path) -> None:
    written(RunFolder(tmp_path))
    resumed = History(RunFolder(tmp_path), 4)
    assert resumed.evaluations == [FIRST]
    assert resumed.losses(0, 6) == [0.125, 0.25, 0.375, 0.5]
    resumed.add_loss(5, 0.1)
    assert History(RunFolder(tmp_path), 6).losses(3, 6) == [0.5, 0.1]


def test_a_new_run_in_a_used_folder_starts_empty(tmp_path: Path) -> None:
    written(RunFolder(tmp_path))
    assert History(RunFolder(tmp_path), 0).evaluations == []
    assert (tmp_path / FILE).read_text() == ""


def test_a_line_cut_short_by_a_power_failure_is_dropped(tmp_path: Path) -> None:
    written(RunFolder(tmp_path))
    content = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(content[:-5])
    history = History(RunFolder(tmp_path), 6)
    assert history.evaluations == [FIRST]
    assert len(history.losses(0, 6)) == 6
    assert [json.loads(line)["step"] for line in (tmp_path / FILE).read_text().splitlines()] == [1, 2, 3, 3, 4, 5, 6]
