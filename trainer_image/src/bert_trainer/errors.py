"""The failures the trainer anticipates; the exit code each carries tells the operator what to do about it."""

from bert_trainer import contract


class TrainerError(Exception):
    """A failure with a message for the user: where, which value, and the remedy."""

    exit_code = contract.EXIT_UNKNOWN


class BadConfigError(TrainerError):
    """A flag is wrong, or the flags contradict each other or the output folder."""

    exit_code = contract.EXIT_BAD_CONFIG


class BadDataError(TrainerError):
    """The task's files are missing or malformed."""

    exit_code = contract.EXIT_BAD_DATA


class BadModelError(TrainerError):
    """Vocabulary, configuration and weights are missing or do not fit each other."""

    exit_code = contract.EXIT_BAD_MODEL


class DeviceFaultError(TrainerError):
    """The accelerator itself failed; another card may do, or this one after a reset."""

    exit_code = contract.EXIT_DEVICE_FAULT


class StorageError(TrainerError):
    """The output folder cannot be written or read."""

    exit_code = contract.EXIT_STORAGE


class InterruptedRunError(TrainerError):
    """The run was told to stop; its checkpoint is saved and another start resumes it."""

    exit_code = contract.EXIT_INTERRUPTED


class ReportedError(Exception):
    """Another process has failed, and has said so itself, where the outcome of this one would stand."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("exit code {}".format(exit_code))
        self.exit_code = exit_code
