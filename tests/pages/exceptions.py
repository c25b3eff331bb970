"""What no test runs as it stands, each with the reason: the one table. A row without a use fails test_exceptions.py."""

PAGES: dict[str, str] = {
    "operator/docs/air-gap.md": "tests/release/test_air_gap.py follows this page, from the archive alone",
}

NEEDS: dict[str, str] = {
    "empty-cluster": "restores every run; tests/api/operator/test_gitops.py does it in a namespace of its own",
    "ascend": "needs an Ascend card, its driver and Ascend Hub's image; the options of `docker run` are looked at",
    "expandable-class": "needs a StorageClass that expands volumes; tests/api/operator/test_day_2.py runs it with one",
    "namespace-of-its-own": "fills claims that the pages' runs have; tests/node/test_first_claims.py runs it",
}
"""By the word after `needs=` at a code block."""

COMMANDS: dict[str, str] = {
    r"npu-smi info.*": "needs an Ascend card and its driver",
    r"docker build trainer_image/": "needs Docker, which tests/release/test_builder.py has",
    r"kubectl \S+ (exec loader|cp FILE) .*": "is about a claim that is still empty; tests/graph/weights runs the tool",
    r"kubectl drain .*": "evicts all that the only node has; tests/api/operator/test_day_2.py drains another",
    r"git bisect .*": "moves the project to other commits; tests/pages/test_bisect.py runs it in a clone",
    r"kubectl delete crd .*": "deletes the runs of every test; tests/api/chart/test_crd.py does it elsewhere",
    r"make demo KUBECONFIG=.*": "needs somebody's cluster; tests/node/test_own_cluster.py takes the same steps",
    r"kubectl apply -f device_plugin/daemonset.yaml": "tests/lab/demo/stack.py applies it with the image it has built",
    r"PYTHONPATH=(device_plugin|tests) python -m \S+": "needs a kubelet's sockets; tests/unit/lab starts it",
    r"uv python install": "tests/lab/setup/python.sh does this where no CPython 3.7 is found",
}
"""By pattern of the whole command."""

LONG: dict[str, str] = {
    "demo": "ten minutes, half an hour on a fresh machine; tests/node takes the same steps",
    "cluster-up": "the tests' fixture begins with it",
    "cluster-down": "the tests' fixture ends with it",
    "images": "minutes",
    "bundle": "minutes; tests/release makes one",
    "dashboards-shots": "takes a browser; tests/node/monitoring asks the same queries",
    "accuracy": "minutes of training; tests/release/trainer/test_bench.py tests its parts",
    "accuracy-base": "half an hour of training",
    "bench-trainer": "half an hour of training; tests/release/trainer/test_bench.py tests its parts",
    "bench-operator": "minutes of load; tests/release/test_bench_operator.py runs it with few objects",
    "lock": "changes files, after the newest packages",
    "clean": "deletes what the tests run with",
}
"""Targets that take long, in the order in which tests/release/test_commands.py runs them, before a release."""

MAKE: dict[str, str] = LONG | {
    "chart-package": "tests/api/chart makes one",
    "check": "`make test` runs it",
    "generate": "`make check` runs it",
    "setup-dev": "makes the environment that this test runs in",
    "test": "runs this test where the page has changed",
    "test-api": "`make test` runs it",
    "test-graph": "`make test` runs it",
    "test-node": "runs this test where the page has changed",
    "test-pages": "runs this test",
    "test-versions": "builds two more versions of Kubernetes, and runs the tests of `make test-api` on each",
    "test-release": "a quarter of an hour of building images, and then all of the long ones",
}
"""Targets that are only seen, by `make -n`, to exist and to take their arguments; with `TESTS=` they run."""

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
