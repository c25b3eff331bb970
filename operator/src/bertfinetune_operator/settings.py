"""The operator's own settings, read once from the environment at the start."""

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Self

from bertfinetune_operator.errors import SettingsError

PREFIX = "BERTFINETUNE_"
PARSERS: dict[object, Callable[[str], object]] = {str: str, int: int, float: float}


@dataclass(frozen=True)
class Settings:
    """Each field is the environment variable BERTFINETUNE_<FIELD IN CAPITALS>."""

    trainer_image_ascend910: str
    """Trainer image for spec.accelerator.type Ascend910."""
    trainer_image_cpu: str
    """Trainer image for spec.accelerator.type CPU."""
    health_port: int = 8080
    """Port of the liveness endpoint /healthz."""
    metrics_port: int = 9090
    """Port of /metrics and of the readiness endpoint /readyz."""
    workers: int = 4
    """Objects reconciled at the same time; a worker mostly waits for the API server."""
    progress_interval: float = 3.0
    """Seconds between two looks at a running trainer's progress."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the settings; raise SettingsError naming the variable that is missing or cannot be read."""
        values: dict[str, object] = {}
        for field in fields(cls):
            variable = PREFIX + field.name.upper()
            if variable in environ:
                values[field.name] = _parse(variable, environ[variable], PARSERS[field.type])
            elif field.default is MISSING:
                raise SettingsError(f"{variable} is not set: set it to the trainer's image")
        return cls(**values)  # type: ignore[arg-type]  # each was parsed as its field's type

    def trainer_image(self, accelerator_type: str) -> str:
        """The default trainer image for a value of spec.accelerator.type."""
        return {"Ascend910": self.trainer_image_ascend910, "CPU": self.trainer_image_cpu}[accelerator_type]


def _parse(variable: str, text: str, parse: Callable[[str], object]) -> object:
    try:
        return parse(text)
    except ValueError as error:
        raise SettingsError(f"{variable}={text!r}: {error}") from error
