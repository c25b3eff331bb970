"""Who may do what once the chart is installed, by `kubectl auth can-i` and by doing it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cluster.kubectl import RunKubectl
from lab.cluster.layout import SAMPLE
from lab.operator.installed import service_account
from lab.operator.process import until
from pages.markdown import codes
from support.rights import POLICIES, SERVED

pytestmark = pytest.mark.usefixtures("crd")

SYSTEM = "kube-public"
"""A namespace that is there, for the release."""

ASKED = sorted(right for right in SERVED if "volcano" not in right)
"""kubectl asks for no resource that the cluster does not serve, as Volcano's here."""
BEYOND = [
    "* *",
    "get secrets",
    "list secrets",
    "get configmaps",
    "create pods",
    "create pods/exec",
    "patch pods",
    "delete pods",
    "create serviceaccounts/token",
    "update batch/jobs",
    "patch batch/jobs",
    "deletecollection batch/jobs",
    "get bertfinetune.dev/bertfinetunes",
    "create bertfinetune.dev/bertfinetunes",
    "patch bertfinetune.dev/bertfinetunes",
    "delete bertfinetune.dev/bertfinetunes",
    "delete events.k8s.io/events",
    "create rbac.authorization.k8s.io/rolebindings",
    "create networking.k8s.io/networkpolicies another",
    "patch networking.k8s.io/networkpolicies another",
    "delete networking.k8s.io/networkpolicies bert-trainer",
    "get coordination.k8s.io/leases another",
]
CLUSTER_WIDE = [
    "list nodes",
    "get nodes/proxy",
    "list namespaces",
    "list persistentvolumes",
    "get apiextensions.k8s.io/customresourcedefinitions",
    "list rbac.authorization.k8s.io/clusterroles",
    "create rbac.authorization.k8s.io/clusterrolebindings",
    "impersonate users",
]


def may(kubectl: RunKubectl, user: str, right: str, namespace: str | None) -> bool:
    """Whether a user may do it, in a namespace or in all; a right is written as in support.rights.granted."""
    verb, resource, *names = right.split()
    group, _, rest = resource.partition("/")
    kind, group = (rest, group) if "." in group or group == "batch" else (resource, "")
    plural, _, sub = kind.partition("/")
    what = "/".join((f"{plural}.{group}" if group else plural, *names[:1]))
    where = f"--namespace={namespace}" if namespace else "--all-namespaces"
    done = kubectl("auth", "can-i", verb, what, f"--subresource={sub}", where, f"--as={user}")
    assert done.stdout.strip() in ("yes", "no"), done.stderr
    return done.stdout.strip() == "yes"


@pytest.fixture(scope="module")
def everywhere(kubectl: RunKubectl, kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The operator's user, where it serves all namespaces."""
    with service_account(kubectl, kubeconfig, tmp_path_factory.mktemp("all"), "everywhere", SYSTEM):
        yield f"system:serviceaccount:{SYSTEM}:everywhere"


def test_everywhere_it_may_what_it_does(kubectl: RunKubectl, everywhere: str) -> None:
    assert [right for right in (*ASKED, *sorted(POLICIES)) if not may(kubectl, everywhere, right, None)] == []
    for verb in ("get", "update"):
        assert may(kubectl, everywhere, f"{verb} coordination.k8s.io/leases everywhere", SYSTEM)
    assert may(kubectl, everywhere, "create coordination.k8s.io/leases", SYSTEM)


def test_everywhere_it_may_no_more(kubectl: RunKubectl, everywhere: str) -> None:
    for namespace in ("default", SYSTEM):
        assert [right for right in BEYOND if may(kubectl, everywhere, right, namespace)] == []
    assert [right for right in CLUSTER_WIDE if may(kubectl, everywhere, right, None)] == []


def test_in_watched_namespaces_it_may_what_it_does_and_nothing_elsewhere(
    kubectl: RunKubectl, kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with service_account(kubectl, kubeconfig, tmp_path, "listed", SYSTEM, watchNamespaces=[namespace]):
        user = f"system:serviceaccount:{SYSTEM}:listed"
        assert [right for right in ASKED if not may(kubectl, user, right, namespace)] == []
        beyond = (*BEYOND, *POLICIES, *CLUSTER_WIDE)
        assert [right for right in beyond if may(kubectl, user, right, namespace)] == []
        assert [
            right for right in ASKED for where in ("default", SYSTEM, None) if may(kubectl, user, right, where)
        ] == []


@pytest.mark.parametrize(
    ("role", "writes"),
    [("view", False), ("edit", True), ("admin", True)],
)
def test_users_of_a_namespace_handle_runs_by_the_roles_they_have(
    kubectl: RunKubectl, everywhere: str, namespace: str, role: str, writes: bool
) -> None:
    del everywhere  # it brings the roles along
    user = f"a-user-with-{role}"
    kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={user}", f"--namespace={namespace}")
    reads = "list bertfinetune.dev/bertfinetunes"
    until(lambda: may(kubectl, user, reads, namespace), lambda: "the roles are not aggregated")
    done = kubectl("create", f"--filename={SAMPLE}", f"--namespace={namespace}", "--dry-run=server", f"--as={user}")
    assert (done.returncode == 0) == writes, done.stderr
    assert writes or "forbidden" in done.stderr
    for verb in ("get", "list", "watch"):
        assert may(kubectl, user, f"{verb} bertfinetune.dev/bertfinetunes", namespace)
    for verb in ("create", "update", "patch", "delete", "deletecollection"):
        assert may(kubectl, user, f"{verb} bertfinetune.dev/bertfinetunes", namespace) == writes
    for verb in ("update", "patch"):
        assert not may(kubectl, user, f"{verb} bertfinetune.dev/bertfinetunes/status", namespace)
    assert not may(kubectl, user, reads, "default")


def test_users_of_a_watched_namespace_handle_runs_by_the_role_of_the_page(kubectl: RunKubectl, namespace: str) -> None:
    """With watchNamespaces there are no ClusterRoles of ours, and security.md has a Role in their place."""
    (role,) = [code.text for code in codes("operator/docs/security.md") if code.text.startswith("# users-role.yaml")]
    done = kubectl("apply", "--filename=-", f"--namespace={namespace}", stdin=role)
    assert done.returncode == 0, done.stderr

    def may_they(verb: str, *what: str) -> bool:
        somebody = ("--as=somebody", "--as-group=research", f"--namespace={namespace}")
        return kubectl("auth", "can-i", verb, *what, *somebody).stdout.strip() == "yes"

    runs = "bertfinetunes.bertfinetune.dev"
    for verb in ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"):
        until(lambda verb=verb: may_they(verb, runs), lambda verb=verb: f"they may not {verb} runs")
    assert not may_they("patch", runs, "--subresource=status")
    assert not may_they("create", "jobs.batch")
