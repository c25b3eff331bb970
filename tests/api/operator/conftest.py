"""An operator's process for the tests of a module, and a run in a namespace of the test's own."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.cluster.kubectl import RunKubectl
from lab.operator.installed import installed_operators_paused
from lab.operator.played import Run
from lab.operator.process import Operator


@pytest.fixture(scope="module")
def operator(kubeconfig: str, kubectl: RunKubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    log = tmp_path_factory.mktemp("operator") / "log"
    with installed_operators_paused(kubectl), Operator(kubeconfig, log) as process:
        yield process
        assert process.stop(signal.SIGTERM) == 0


@pytest.fixture
def start(kubeconfig: str, tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Starts operators, and kills what is left of them."""
    with ExitStack() as operators:

        def run(name: str, config: str | Path = kubeconfig, **settings: str) -> Operator:
            return operators.enter_context(Operator(config, tmp_path / f"{name}.log", pod_name=name, **settings))

        yield run


@pytest.fixture
def run(operator: Operator, kubectl: RunKubectl, namespace: str) -> Run:
    assert operator.process.poll() is None
    return Run(kubectl, namespace)
