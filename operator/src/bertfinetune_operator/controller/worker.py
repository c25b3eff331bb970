"""Takes keys from the queue and gives each a pass."""

import logging
from typing import NoReturn

from bertfinetune_operator.controller.gate import Gate
from bertfinetune_operator.controller.reconciler import Reconciler
from bertfinetune_operator.errors import ClusterError
from bertfinetune_operator.informer.index import Key
from bertfinetune_operator.informer.work_queue import WorkQueue
from bertfinetune_operator.telemetry.counters import Metrics

logger = logging.getLogger(__name__)


async def work(queue: WorkQueue[Key], gate: Gate, reconciler: Reconciler, metrics: Metrics) -> NoReturn:
    """Take keys from the queue, always; a pass that failed is logged and tried again later."""
    while True:
        key = await queue.get()
        try:
            async with gate.passing():
                with metrics.reconciling(key):
                    delay = await reconciler.reconcile(key)
        except ClusterError as error:
            pause = queue.retry(key, error.retry_after)
            logger.warning("%s/%s: %s; next attempt in %.1f s", *key, error, pause)
        except Exception:
            logger.exception("%s/%s: a bug in the operator; next attempt in %.1f s", *key, queue.retry(key))
        else:
            queue.add_after(key, delay)
            queue.done(key)
