"""What no test runs as it stands, each with the reason: the one table. A row without a use fails test_exceptions.py."""

PAGES: dict[str, str] = {
    "operator/docs/air-gap.md": "tests/release/test_air_gap.py follows this page, from the archive alone",
}

NEEDS: dict[str, str] = {
    "ascend": "needs an Ascend card, its driver and Ascend Hub's image; the options of `docker run` are looked at",
}
"""By the word after `needs=` at a code block."""

COMMANDS: dict[str, str] = {
    r"npu-smi info.*": "needs an Ascend card and its driver",
    r"docker build trainer_image/": "needs Docker, which tests/release/test_builder.py has",
    r"kubectl delete crd .*": "deletes the runs of every test; tests/chart/test_crd_cluster.py does it elsewhere",
    r"make demo KUBECONFIG=.*": "needs somebody's cluster; tests/e2e/test_own_cluster.py takes the same steps",
    r"kubectl apply -f device_plugin/daemonset.yaml": "tests/demo/stack.py applies it with the image it has built",
    r"PYTHONPATH=(device_plugin|tests) python -m \S+": "needs a kubelet's sockets; tests/ascend_sim starts it",
    r"uv python install": "tests/setup/python.sh does this where no CPython 3.7 is found",
}
"""By pattern of the whole command."""

LONG: dict[str, str] = {
    "demo": "ten minutes, half an hour on a fresh machine; tests/e2e takes the same steps",
    "cluster-up": "the tests' fixture begins with it",
    "cluster-down": "the tests' fixture ends with it",
    "images": "minutes",
    "bundle": "minutes; tests/release makes one",
    "dashboards-shots": "takes a browser; `make test-monitoring` asks the same queries",
    "accuracy": "minutes of training; tests/trainer/test_bench.py tests its parts",
    "accuracy-base": "half an hour of training",
    "bench-trainer": "half an hour of training; tests/trainer/test_bench.py tests its parts",
    "bench-operator": "minutes of load; tests/bench_operator runs it with few objects",
    "lock": "changes files, after the newest packages",
    "clean": "deletes what the tests run with",
}
"""Targets that take long, in the order in which tests/release/test_commands.py runs them, before a release."""

MAKE: dict[str, str] = LONG | {
    "chart-package": "tests/chart makes one",
    "e2e": "runs this test",
    "generate": "`make lint` runs it",
    "lint": "`make test` runs it",
    "setup-dev": "makes the environment that this test runs in",
    "test": "runs this test",
    "test-chart": "`make test` runs its parts",
    "test-docs": "runs this test",
    "test-release": "a quarter of an hour of building images, and then all of the long ones",
    "test-monitoring": "`make test` runs its parts",
    "test-operator": "`make test` runs it",
    "test-trainer": "`make test` runs it",
}
"""Targets of which `make test` only sees, by `make -n`, that they exist and that their arguments are taken."""

SERVING: dict[str, str] = {
    r"kubectl .*port-forward .*": "Forwarding from",
    r"kubectl .*--watch": "mrpc",
    r"tensorboard .*": "TensorBoard 1.15",
    r".* -m bertfinetune_operator": "Initial authentication",
}
"""Commands that end only with Ctrl-C, and what they print until then."""

REFUSED: dict[str, tuple[int, str]] = {
    r".* --model_name=bert-large-uncased .*": (66, "use its weights or --model_name=custom"),
    r"make accuracy-base .*": (2, "use its weights or --model_name=custom"),  # make's own code for any failure
}
"""Commands that end with this exit code here, because of the stand-ins, and say why."""
