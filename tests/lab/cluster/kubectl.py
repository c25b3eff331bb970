"""kubectl, the way people use it: one context, real output, errors as one sentence."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.cluster.errors import ClusterError
from lab.cluster.layout import program
from lab.cluster.processes import wait_until

RunKubectl = Callable[..., subprocess.CompletedProcess[str]]
"""`Kubectl.run`, or the fixture `kubectl`, which is the same but never raises."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl bound to a kubeconfig and, if given, to one context of it."""

    kubeconfig: Path
    context: str | None = None

    @property
    def argv(self) -> list[str]:
        return [
            str(program("kubectl")),
            f"--kubeconfig={self.kubeconfig}",
            *([f"--context={self.context}"] if self.context else []),
        ]

    def run(self, *arguments: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command; ClusterError with kubectl's own words where it fails and ``check`` is set."""
        done = subprocess.run([*self.argv, *arguments], check=False, capture_output=True, text=True, input=stdin)
        if check and done.returncode:
            raise ClusterError(f"kubectl {' '.join(arguments[:4])}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def apply(self, manifest: str, *arguments: str) -> None:
        """Server-side apply of a manifest's text."""
        self.run("apply", "--server-side", "--force-conflicts", "--filename=-", *arguments, stdin=manifest)

    def until_established(self, *crds: str) -> None:
        """Wait until the API server serves these CRDs, which `kubectl wait` is told by the same words."""
        # kubectl wait gives up at once on an object that has no conditions yet
        wait = ("wait", "--for=condition=Established", "--timeout=10s", *crds)
        if not wait_until(lambda: self.run(*wait, check=False).returncode == 0, 60):
            raise ClusterError(f"the API server does not serve the CRDs {' '.join(crds)}")

    def get(self, *arguments: str) -> dict[str, Any]:
        """``kubectl get ... -o json``, decoded."""
        return json.loads(self.run("get", *arguments, "--output=json").stdout)

    def version(self) -> str:
        return json.loads(self.run("version", "--output=json").stdout)["serverVersion"]["gitVersion"]

    def client_version(self) -> str:
        """Its own, which is the version of all that is built with it."""
        return json.loads(self.run("version", "--client", "--output=json").stdout)["clientVersion"]["gitVersion"]
