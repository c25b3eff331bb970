"""The rights that the chart is to give the operator, and those that a role gives, as strings that can be compared."""

from support.helm import Raw


def granted(role: Raw) -> set[str]:
    """A role's rights, one string each: verb, resource with its group, and the only names it is for."""
    return {
        " ".join((verb, "/".join(filter(None, (group, resource))), *rule.get("resourceNames", ())))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


SERVED = {
    "list bertfinetune.dev/bertfinetunes",
    "watch bertfinetune.dev/bertfinetunes",
    "patch bertfinetune.dev/bertfinetunes/status",
    "update bertfinetune.dev/bertfinetunes/finalizers",
    "get batch/jobs",
    "list batch/jobs",
    "watch batch/jobs",
    "create batch/jobs",
    "delete batch/jobs",
    "list pods",
    "watch pods",
    "get pods/log",
    "list events.k8s.io/events",
    "create events.k8s.io/events",
    "get scheduling.volcano.sh/podgroups",
}
KUEUE = {"list kueue.x-k8s.io/workloads"}
"""Where the cluster serves them."""
POLICIES = {f"{verb} networking.k8s.io/networkpolicies bert-downloads bert-trainer" for verb in ("create", "patch")}
LEASES = {
    "get coordination.k8s.io/leases op",
    "update coordination.k8s.io/leases op",
    "create coordination.k8s.io/leases",
}
"""In the namespace of release op."""
