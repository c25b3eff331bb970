"""Golden scenes: what is seen of a run at one moment, and what must follow; a YAML file for each policy.

`seen` holds the time, changes to the minimal object's spec, its status, keywords of `builders.job` and `builders.pod`,
the pods' progress reports, the API server's refusal of a Job, and answers to questions. A time of day is one on
2026-01-02, and a message that is a mapping is the trainer's JSON.
`decided` holds the fields of the status that the scene is about, and all else that the decision asks for.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from bertfinetune_operator.decision.decide import Decision, decide
from bertfinetune_operator.decision.views import Question
from bertfinetune_operator.settings import Settings
from support import builders as make
from support.merge import apply
from support.world import World

Raw = dict[str, Any]
DAY = "2026-01-02"
LINE = 112
"""What fits into so many characters is written on one line."""


@dataclass(frozen=True)
class Scene:
    """One scene, as its file has it."""

    name: str
    why: str
    seen: Raw
    decided: Raw

    @property
    def status(self) -> Raw | None:
        """The record before the decision."""
        return expanded(self.seen).get("status")

    def world(self) -> World:
        """The world of the scene; each call makes a new one."""
        return world_of(**expanded(self.seen))

    def decide(self, settings: Settings = make.SETTINGS) -> Decision:
        """What is decided now."""
        world = self.world()
        return decide(world.obj, world.seen(), settings, world.now)

    def follows(self) -> Raw:
        """The same in the words of the file."""
        decision = self.decide()
        status = apply(self.status, decision.status_patch)
        told = {
            "status": {key: status.get(key) for key in self.decided.get("status", ())},
            "ask": [" ".join(str(part) for part in asked if part) for asked in decision.ask],
            "create": decision.create and int(decision.create["metadata"]["labels"]["bertfinetune.dev/attempt"]),
            "delete": [job.name for job in decision.delete],
            "wake": decision.wake_at and f"{decision.wake_at:{DAY}T%H:%M:%SZ}",
        }
        return shortened({key: value for key, value in told.items() if value not in (None, [], {})})


def world_of(
    *,
    now: str,
    spec: Raw | None = None,
    status: Raw | None = None,
    jobs: Iterable[Raw] = (),
    pods: Iterable[Raw] = (),
    reports: Mapping[str, Raw] = {},
    refusal: str | None = None,
    answers: Mapping[str, str] = {},
) -> World:
    """A world in which just this is seen."""
    return World(
        make.bertfinetune(status, spec),
        make.by_name(make.job(**job) for job in jobs),
        make.by_name(make.pod(**pod) for pod in pods),
        dict(reports),
        {question(text): answer for text, answer in answers.items()},
        refusal,
        now=datetime.fromisoformat(now),
    )


def question(text: str) -> Question:
    """A question as its words: kind, name, part and seconds."""
    words: list[Any] = text.split()
    return Question(*words[:3], *map(int, words[3:]))


def expanded(value: Any, key: str = "") -> Any:
    """A value of a file as Kubernetes has it."""
    if isinstance(value, dict):
        inner = {key: expanded(each, key) for key, each in value.items()}
        return json.dumps(inner, separators=(",", ":")) if key == "message" else inner
    if isinstance(value, list):
        return [expanded(each) for each in value]
    is_time = isinstance(value, str) and re.fullmatch(r"\d\d:\d\d:\d\d", value)
    return f"{DAY}T{value}Z" if is_time else value


def shortened(value: Any) -> Any:
    """A value as a file has it: of times only the time of day."""
    if isinstance(value, dict):
        return {key: shortened(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shortened(each) for each in value]
    return re.sub(rf"^{DAY}T(\d\d:\d\d:\d\d)Z$", r"\1", value) if isinstance(value, str) else value


def text_of(scenes: Iterable[Scene]) -> str:
    """A file of these scenes, decided as they are now."""
    documents = (
        {each.name: _Block(why=each.why, seen=_Block(each.seen), decided=_Block(each.follows()))} for each in scenes
    )
    return "\n".join(yaml.dump(each, Dumper=_Dumper, width=118, allow_unicode=True) for each in documents)


class _Block(dict[str, Any]):
    """A mapping with a line for each key."""


class _Dumper(yaml.SafeDumper):
    """Writes what is short on one line, and lists below their keys."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def collection(self, data: Any) -> yaml.Node:
        """A mapping or a list."""
        is_short = not isinstance(data, _Block) and len(json.dumps(data).replace('"', "")) <= LINE
        if isinstance(data, dict):
            return self.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=is_short)
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=is_short)


for kind in (_Block, dict, list):
    _Dumper.add_representer(kind, _Dumper.collection)


FILES = {
    file.stem: [Scene(name, **scene) for name, scene in yaml.safe_load(file.read_text()).items()]
    for file in sorted((make.GOLDEN / "scenes").glob("*.yaml"))
}
"""The scenes of each policy."""

SCENES = {scene.name: scene for scenes in FILES.values() for scene in scenes}
"""All scenes by their names."""
