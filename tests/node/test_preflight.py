"""`make preflight` on a real cluster: ready, and not ready any more when one thing is gone."""

import re
import subprocess

from lab.cluster.layout import KUBECONFIG, PROJECT
from lab.demo import claims
from lab.demo.target import Target

FIRST_RUN = dict.fromkeys(("bert-weights", "mrpc-data", "bert-output"))


def preflight(namespace: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "preflight", f"KUBECONFIG={KUBECONFIG}", f"NAMESPACE={namespace}"]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=PROJECT)


def verdicts(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """By check."""
    rows = re.findall(r"^(ok|FAIL|warn|look) +(\S+(?: \S+)*)", done.stdout, re.MULTILINE)
    return {check: verdict for verdict, check in rows}


def test_it_tells_that_one_claim_is_gone(installed: Target, namespace: str) -> None:
    claims.create(installed, namespace, FIRST_RUN)
    volumes = [f"{namespace}-{name}" for name in FIRST_RUN]
    try:
        installed.kubectl.run("wait", f"--namespace={namespace}", "persistentvolumeclaims", "--all", "--timeout=60s",
                              "--for=jsonpath={.status.phase}=Bound")  # fmt: skip
        ready = preflight(namespace)
        assert ready.returncode == 0, ready.stdout + ready.stderr
        before = verdicts(ready)
        assert "FAIL" not in before.values()
        assert [before[check] for check in ("Kubernetes", "cards", "CRD", "operator", "namespace")] == ["ok"] * 5

        installed.kubectl.run("delete", f"--namespace={namespace}", "persistentvolumeclaim", "mrpc-data")
        done = preflight(namespace)
        assert done.returncode == 2  # make's own code for any failure
        assert "no mrpc-data" in done.stdout
        assert verdicts(done) == before | {"claims": "FAIL"}
    finally:
        installed.kubectl.run("delete", f"--namespace={namespace}", "persistentvolumeclaims", "--all", check=False)
        installed.kubectl.run("delete", "persistentvolumes", *volumes, "--ignore-not-found")
