"""``make demo``: from nothing to a fine-tuned BERT with its accuracy in the object's status."""

import argparse
import sys
from pathlib import Path

import yaml

from lab.cluster.errors import exit_code
from lab.cluster.layout import CACHE, PROJECT, SAMPLE
from lab.demo import claims, mrpc, report, stack, target, weights
from lab.demo.follow import follow

NAMESPACE = "bertfinetune-demo"


def run(arguments: argparse.Namespace) -> None:
    """Every step finds what an earlier, interrupted run has already done."""
    where = target.choose(arguments.kubeconfig, arguments.registry, arguments.confirm_context)
    corpus = mrpc.choose(arguments.data, CACHE)
    print(f"==> data: {corpus.description}", flush=True)
    model = weights.fetch(arguments.python37)
    stack.install(where)
    contents = {"bert-weights": model, "mrpc-data": corpus.folder, "bert-output": None}
    stale = claims.create(where, NAMESPACE, contents)

    name = yaml.safe_load(SAMPLE.read_text())["metadata"]["name"]
    forget_outdated(where, name, inputs_changed=bool(stale))  # before its inputs are exchanged under it
    claims.fill(where, NAMESPACE, stale)
    print(f"==> kubectl apply -f {SAMPLE.relative_to(PROJECT)}", flush=True)
    where.kubectl.run(f"--namespace={NAMESPACE}", "apply", f"--filename={SAMPLE}")
    finished = follow(where.kubectl, NAMESPACE, name)
    report.show(where, NAMESPACE, name, finished["status"]["jobName"])


def forget_outdated(where: target.Target, name: str, *, inputs_changed: bool) -> None:
    """Delete a run that failed or whose inputs or manifest are not the present ones; keep one to follow or to show."""
    in_namespace = f"--namespace={NAMESPACE}"
    found = where.kubectl.run(
        in_namespace, "get", "bertfinetune", name, "--output=jsonpath={.status.phase}", check=False
    )
    if found.returncode != 0:
        return
    dry_run = where.kubectl.run(in_namespace, "apply", f"--filename={SAMPLE}", "--dry-run=server", check=False)
    reasons = {
        "its inputs changed": inputs_changed,
        "it failed": found.stdout == "Failed",
        "the manifest changed": dry_run.returncode != 0,
    }
    why = ", ".join(reason for reason, holds in reasons.items() if holds)
    if why:
        print(f"==> deleting the earlier run {name}: {why}", flush=True)
        where.kubectl.run(in_namespace, "delete", "bertfinetune", name, "--cascade=foreground", "--timeout=150s")
    else:
        print(f"    run {name} exists ({found.stdout}); following it", flush=True)
        print(f"    for a new one: kubectl {in_namespace} delete bft {name}, then make demo", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--data", help="folder with train.tsv and dev.tsv")
    parser.add_argument("--kubeconfig", help="your own cluster instead of one on this machine")
    parser.add_argument("--registry", help="where your own cluster pulls images from")
    parser.add_argument("--confirm-context", help="the name of the context of your cluster that may be changed")
    parser.add_argument("--python37", required=True, type=Path, help="CPython 3.7 with TensorFlow, for the weights")
    arguments = parser.parse_args()
    return exit_code(
        lambda: run(arguments), interrupted="what runs in the cluster goes on, and `make demo` continues from here"
    )


if __name__ == "__main__":
    sys.exit(main())
