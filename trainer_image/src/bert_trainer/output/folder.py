"""The output folder: it belongs to one run, which run.json describes, and keeps that run's result."""

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

from bert_trainer import contract
from bert_trainer.errors import BadConfigError, StorageError, TrainerError
from bert_trainer.output.outcome import Outcome, failure

RUN_FILE = "run.json"
TIMES_FILE = "times.json"
SAVED_MODEL = "saved_model"  # what TensorFlow Serving calls the model's base path
# Flags that may change between two starts of one run: where things are mounted, how it is watched, and how much memory
# a step takes.
INCIDENTAL_FLAGS = (
    "data_path",
    "model_path",
    "output_dir",
    "resume_from",
    "metrics_port",
    "termination_log",
    "gradient_accumulation_steps",
)

Description = Dict[str, Dict[str, Any]]
"""What run.json holds: "config" (every flag), "data" and "model" (file name -> SHA-256), "versions" (not compared)."""


class RunFolder:
    """One run's output folder; every method raises StorageError when the file system refuses."""

    def __init__(self, path: Path, check: Callable[[], None] = lambda: None) -> None:
        """Takes `check`, which raises when this process must no longer write there; it is called before each write."""
        self.path = path
        self.check = check

    def claim(self, run: Description) -> Optional[Outcome]:
        """Makes the folder this run's, or recognizes it as such; returns and raises what `result_of` does."""
        result = self.result_of(run)
        if self.read_json(RUN_FILE) is None:
            self.write(RUN_FILE, json.dumps(run, indent=2, sort_keys=True) + "\n")
        return result

    def result_of(self, run: Description) -> Optional[Outcome]:
        """Returns the run's result when the run has already succeeded, else None.

        Raises:
            BadConfigError: the folder holds another run, naming what differs, or a finished run without a run_id.
        """
        known = self.read_json(RUN_FILE)
        if known is None:
            if (self.path / "checkpoint").exists():
                raise BadConfigError(
                    "--output_dir={}: holds checkpoints but no {}; choose another".format(self.path, RUN_FILE)
                )
            return None
        differing = differences(_identity(known), _identity(run))
        if differing:
            message = (
                "--output_dir={}: belongs to another run ({}); choose another --output_dir or repeat that run exactly"
            )
            raise BadConfigError(message.format(self.path, "; ".join(differing)))
        result = self.read_json(contract.RESULT_FILE)
        if result is None or result.get("outcome") != contract.OUTCOME_SUCCEEDED:
            return None
        if not run["config"]["run_id"]:
            message = "--output_dir={}: this run is already finished, its result is in {}; choose another --output_dir"
            raise BadConfigError(message.format(self.path, contract.RESULT_FILE))
        return result

    @contextlib.contextmanager
    def recorded_failure(self) -> Iterator[None]:
        """Writes the failure of the block, if any, as the folder's result, and lets it pass."""
        try:
            yield
        except Exception as error:
            with contextlib.suppress(TrainerError):
                self.record(failure(error))
            raise

    def record_failure_of(self, config: Dict[str, Any], outcome: Outcome) -> None:
        """Writes the failure of the run with these flags, by another process than the one that had claimed the folder.

        It may have ended before it did so: a folder of another run, or of a finished one, is left as it is.
        """
        with contextlib.suppress(TrainerError):
            known, result = self.read_json(RUN_FILE), self.read_json(contract.RESULT_FILE)
            is_open = result is None or result["outcome"] != contract.OUTCOME_SUCCEEDED
            if known and is_open and _identity(known) == _identity({**known, "config": config}):
                self.record(outcome)

    def record(self, outcome: Outcome) -> None:
        """Writes result.json."""
        self.write(contract.RESULT_FILE, json.dumps(outcome, indent=2) + "\n")

    def copy(self, source: Path) -> None:
        """Copies a file into the folder under its own name."""
        self.check()
        try:
            shutil.copyfile(str(source), str(self.path / source.name))
        except OSError as reason:
            raise self._storage_error(source.name, reason) from reason

    def write(self, name: str, text: str) -> None:
        """Replaces a file atomically and durably; makes the folder when there is none."""
        self.check()
        temporary = self.path / (name + ".tmp")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with temporary.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path / name)
        except OSError as reason:
            raise self._storage_error(name, reason) from reason

    def append(self, name: str, text: str) -> None:
        """Adds to the end of a file."""
        self.check()
        try:
            with (self.path / name).open("a") as file:
                file.write(text)
        except OSError as reason:
            raise self._storage_error(name, reason) from reason

    def read(self, name: str) -> str:
        """Returns a file's text; "" when there is no such file."""
        try:
            return (self.path / name).read_text()
        except FileNotFoundError:
            return ""
        except OSError as reason:
            raise self._storage_error(name, reason) from reason

    def read_json(self, name: str) -> Optional[Dict[str, Any]]:
        """Returns a file's content; None when there is no such file."""
        text = self.read(name)
        try:
            return json.loads(text) if text else None
        except ValueError as reason:
            raise StorageError(
                "{}: not JSON ({}); choose another --output_dir".format(self.path / name, reason)
            ) from reason

    def _storage_error(self, name: str, reason: OSError) -> StorageError:
        message = "{}: {}; make the output folder writable and large enough for the checkpoints"
        return StorageError(message.format(self.path / name, reason.strerror))


def differences(before: Dict[str, Any], now: Dict[str, Any]) -> List[str]:
    """Returns a phrase for each key that differs."""
    return [
        "{} was {!r}, is {!r}".format(key, before.get(key), now.get(key))
        for key in sorted(set(before) | set(now))
        if before.get(key) != now.get(key)
    ]


def _identity(run: Dict[str, Any]) -> Dict[str, Any]:
    parts = (run.get(part, {}) for part in ("config", "data", "model"))
    known = {key: value for part in parts for key, value in part.items() if key not in INCIDENTAL_FLAGS}
    later = {flag: value for flag, value in contract.LATER_FLAGS.items() if flag not in INCIDENTAL_FLAGS}
    return {**later, **known}  # folders of earlier trainers do not tell
