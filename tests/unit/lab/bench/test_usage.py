import os
import time

from lab.bench.operator import usage


def test_cpu_grows_with_work_only() -> None:
    before = usage.cpu_seconds(os.getpid())
    start = time.process_time()
    while time.process_time() - start < 0.1:
        pass
    spent = usage.cpu_seconds(os.getpid()) - before
    assert 0.07 <= spent <= 1.0


def test_the_peak_stays() -> None:
    first = usage.resident_mb(os.getpid())
    ballast = b"x" * 50_000_000
    assert usage.resident_mb(os.getpid()) - first > 40
    del ballast
    assert usage.peak_resident_mb(os.getpid()) - first > 40
