"""What the demo ends with: the four places where a run's accuracy and speed come back, and how to clean up."""

from pathlib import Path

from lab.cluster.kubectl import Kubectl
from lab.demo.stack import CARD_LABEL, DEVICE_PLUGIN, METRICS_SERVICE, RELEASE, SYSTEM_NAMESPACE
from lab.demo.target import Target

FINAL_RESULT = "---------Final Result--------"
SAMPLES = ("bertfinetune_accuracy{", "bertfinetune_ms_per_step{")


def final_result(kubectl: Kubectl, namespace: str, job: str) -> list[str]:
    """The reference's four closing lines, from the pod's own log."""
    lines = kubectl.run(f"--namespace={namespace}", "logs", f"job/{job}").stdout.splitlines()
    start = lines.index(FINAL_RESULT)
    return lines[start : start + 4]


READ_METRICS = (
    "import sys, urllib.request as u;"
    " sys.stdout.write(u.urlopen('http://localhost:9090/metrics', timeout=10).read().decode())"
)


def operator_metrics(kubectl: Kubectl) -> str:
    """The leading operator's /metrics: the replica that stands by knows no objects.

    Asked inside the pod, since its NetworkPolicy lets no API server in that is on another node.
    """
    lease = kubectl.get("lease", RELEASE, f"--namespace={SYSTEM_NAMESPACE}")
    pod = lease["spec"]["holderIdentity"].partition("_")[0]
    return kubectl.run(f"--namespace={SYSTEM_NAMESPACE}", "exec", pod, "--", "python3", "-c", READ_METRICS).stdout


def show(target: Target, namespace: str, name: str, job: str) -> None:
    """Print the object, the Final Result block, the operator's samples and the way to clean up."""
    kubectl = target.kubectl
    command = f"kubectl --namespace={namespace} get bertfinetunes -o wide"
    print(f"\n$ {command}\n{kubectl.run(f'--namespace={namespace}', 'get', 'bertfinetunes', '--output=wide').stdout}")
    print(f"$ kubectl --namespace={namespace} logs job/{job} | tail -4")
    print("\n".join(final_result(kubectl, namespace, job)))
    print(f"\nfrom the operator's /metrics (service {SYSTEM_NAMESPACE}/{METRICS_SERVICE}):")
    samples = [
        line
        for line in operator_metrics(kubectl).splitlines()
        if line.startswith(SAMPLES) and f'namespace="{namespace}",' in line.replace("}", ",")
    ]
    print("\n".join(samples))
    print(f"\nLook around:\n  {_kubectl_line(target)}\n  kubectl --namespace={namespace} describe bft {name}")
    print(f"Clean up:\n  kubectl delete namespace {namespace}\n  {_clean_up(target)}")


def _kubectl_line(target: Target) -> str:
    return f"export KUBECONFIG={target.kubectl.kubeconfig} PATH=$PWD/{Path('.build/bin')}:$PATH"


def _clean_up(target: Target) -> str:
    if target.is_local:
        return "make cluster-down"
    label = next(iter(CARD_LABEL))
    return "\n  ".join(
        [
            f"helm uninstall --namespace={SYSTEM_NAMESPACE} {RELEASE}",
            f"kubectl --namespace=kube-system delete daemonset {DEVICE_PLUGIN}",
            f"kubectl label node --selector={label}={CARD_LABEL[label]} {label}-",
        ]
    )
