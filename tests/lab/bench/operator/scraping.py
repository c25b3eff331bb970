"""What a scrape of the operator's metrics costs: its time, and how long the operator answers nobody else meanwhile."""

import statistics
import time
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

from lab.bench.operator.results import Scrape
from lab.cluster.processes import Component

SCRAPES = 5


def measure(operator: Component) -> Scrape:
    """Scrape a few times, and again while another client asks /healthz, which a free event loop answers at once."""
    metrics = f"http://127.0.0.1:{operator.env['BERTFINETUNE_METRICS_PORT']}/metrics"
    health = f"http://127.0.0.1:{operator.env['BERTFINETUNE_HEALTH_PORT']}/healthz"
    answers = [_get(metrics) for _ in range(SCRAPES)]
    seconds = statistics.median(seconds for seconds, _ in answers)
    stop = Event()
    with ThreadPoolExecutor(1) as other:
        longest: Future[float] = other.submit(_longest_answer, health, stop)
        for _ in range(SCRAPES):
            _get(metrics)
        stop.set()
        return Scrape(seconds, len(answers[0][1]) / 1e6, longest.result())


def _longest_answer(url: str, stop: Event) -> float:
    longest = 0.0
    while not stop.is_set():
        longest = max(longest, _get(url)[0])
        time.sleep(0.002)
    return longest


def _get(url: str) -> tuple[float, bytes]:
    began = time.monotonic()
    with urllib.request.urlopen(url, timeout=30) as answer:
        body = answer.read()
    return time.monotonic() - began, body
