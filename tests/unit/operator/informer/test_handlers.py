"""kopf hands over what happens to a BertFinetune, and has endless patience."""

import itertools
from collections.abc import Sized
from typing import Any

import kopf
import pytest

from bertfinetune_operator.informer.handlers import Endless, configure, register
from bertfinetune_operator.informer.index import Index, Key
from bertfinetune_operator.informer.informer import Informer
from bertfinetune_operator.informer.work_queue import WorkQueue
from bertfinetune_operator.kinds import JOBS, PODS
from support import builders as make


@pytest.mark.parametrize(
    ("change", "is_there"), [(None, True), ("ADDED", True), ("MODIFIED", True), ("DELETED", False)]
)
async def test_an_event_reaches_the_index_and_wakes_its_object(change: Any, is_there: bool) -> None:
    index, queue = Index(), WorkQueue[Key]()
    informer = Informer(index, queue, ())
    for resource in (JOBS, PODS):
        informer.retain(resource, None, set(), 0)
    registry = register(informer, silence=70)
    (handler,) = registry._watching.get_all_handlers()
    await handler.fn(event={"type": change, "object": make.bertfinetune()}, patch=kopf.Patch())
    assert (make.KEY in index.keys(None)) == is_there
    assert len(queue) == 1


def test_kopf_s_pauses_never_run_out() -> None:
    """kopf counts the attempts of what has a length, and starts from the first pause with each request."""
    settings = kopf.OperatorSettings()
    configure(settings, silence=70)
    assert not isinstance(Endless(), Sized)
    for _ in range(2):
        pauses = list(itertools.islice(settings.networking.error_backoffs, 10_000))  # ty: ignore[invalid-argument-type]
        assert pauses[:7] == [1, 2, 4, 8, 16, 30, 30]
        assert pauses[-1] == 30
