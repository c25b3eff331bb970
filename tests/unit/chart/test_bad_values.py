"""Values of a wrong form: refused by the schema, by name, before anything is rendered."""

import json
import re
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.helm import CHART, Raw, template

DIGEST = "sha256:" + "0123456789abcdef" * 4
SCHEMA: Raw = json.loads((CHART / "values.schema.json").read_text())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replicas": -1}, "replicas"),
        ({"replicas": "2"}, "replicas"),
        ({"watchNamespaces": "a"}, "watchNamespaces"),
        ({"watchNamespaces": ["dev-*"]}, "watchNamespaces"),
        ({"watchNamespaces": ["a", "a"]}, "watchNamespaces"),
        ({"leaderElection": False}, "leaderElection"),
        ({"nodeSelector": {"disk": 1}}, "nodeSelector"),
        ({"monitoring.serviceMonitor.interval": "30"}, "interval"),
        ({"monitoring.serviceMonitor.enabled": "yes"}, "enabled"),
        ({"monitoring.podMonitor.interval": ""}, "interval"),
        ({"monitoring.podMonitor.labels": {"release": 1}}, "release"),
        ({"monitoring.podMonitor.namespaces": ["a"]}, "namespaces"),
        ({"monitoring.prometheusRule.runbookUrl": "example.com/runbooks"}, "runbookUrl"),
        ({"monitoring.prometheusRule.runbookUrl": "https://example.com/runbooks/"}, "runbookUrl"),
        ({"monitoring.prometheusRule.runbookUrl": "https://example.com/run books"}, "runbookUrl"),
        ({"monitoring.rules.disabled": {"BertFinetuneStaled": True}}, "BertFinetuneStaled"),
        ({"monitoring.rules.disabled": ["BertFinetuneStalled"]}, "disabled"),
        ({"monitoring.rules.labels": {"team": 1}}, "team"),
        ({"monitoring.rules.thresholds.BertFinetuneStalled": 30}, "BertFinetuneStalled"),
        ({"monitoring.rules.thresholds.BertFinetuneStalled": "30"}, "BertFinetuneStalled"),
        ({"monitoring.rules.thresholds.BertFinetuneErrorRatioHigh": 10}, "BertFinetuneErrorRatioHigh"),
        ({"monitoring.scrapeAnnotations": "true"}, "scrapeAnnotations"),
        ({"monitoring.tensorboards": [{"namespace": "a"}]}, "claimName"),
        ({"monitoring.tensorboards": [{"namespace": "a", "claimName": "Runs"}]}, "claimName"),
        ({"monitoring.tensorboards": [{"namespace": "a", "claimName": "runs"}] * 2}, "tensorboards"),
        ({"monitoring.grafana": True}, "grafana"),
        ({"extraEnv": [{"name": "A"}, {"name": "A"}]}, "extraEnv: A is given twice: remove one of them"),
        ({"trainer.env": [{"name": "A"}, {"name": "A"}]}, "trainer.env: A is given twice: remove one of them"),
        ({"volumes": [{"name": "a", "emptyDir": {}}] * 2}, "volumes: a is given twice: remove one of them"),
        (
            {"volumes": [{"name": "a", "emptyDir": {}}], "volumeMounts": [{"name": "a", "mountPath": "/a"}] * 2},
            "volumeMounts: /a is given twice: remove one of them",
        ),
        ({"volumeMounts": [{"name": "a", "mountPath": "/b"}]}, "volumeMounts: volumes has no a to mount at /b"),
        *(
            (
                {f"monitoring.{name}": {"enabled": True, "interval": "1m", "scrapeTimeout": "1m1s"}},
                f"monitoring.{name}: scrapeTimeout 1m1s is longer than interval 1m",
            )
            for name in ("serviceMonitor", "podMonitor", "npuExporter")
        ),
        ({"trainer.metadata.finalizers": []}, "additional properties 'finalizers' not allowed"),
        ({"trainer.podSecurityContext.runAsuser": 7}, "additional properties 'runAsuser' not allowed"),
    ],
)
def test_bad_values_are_refused_by_name(values: Raw, words: str) -> None:
    done = template(**values)
    assert done.returncode != 0
    assert words in done.stderr


MANY: list[list[tuple[Raw, str]]] = [
    [
        ({"trainer.imagePullSecrets": ["A"]}, "/trainer/imagePullSecrets/0': 'A' does not match"),
        ({"imagePullSecrets": ["registry"]}, "/imagePullSecrets/0': got string, want object"),
        ({"global.imagePullSecrets": ["registry"]}, "/global/imagePullSecrets/0': got string, want object"),
        ({"global.imageRegistry": "https://r.example.com"}, "/global/imageRegistry': 'https://r.example.com' does not"),
        ({"image.registry": "r.example.com/"}, "/image/registry': 'r.example.com/' does not match"),
        ({"image.repository": "a/op:1"}, "/image/repository': 'a/op:1' does not match"),
        ({"image.tag": DIGEST}, "/image/tag': value must be 'a tag: write a digest into image.digest'"),
        ({"image.digest": "0123"}, "/image/digest': '0123' does not match"),
        ({"trainer.images.cpu": "r/cpu:1:2"}, "/trainer/images/cpu': 'r/cpu:1:2' does not match"),
        ({"trainer.images.ascend910": "r/npu 1"}, "/trainer/images/ascend910': 'r/npu 1' does not match"),
        ({"tensorboard.image": "R"}, "/tensorboard/image': 'R' does not match"),
        ({"nameOverride": "A"}, "/nameOverride': 'A' does not match"),
        ({"fullnameOverride": "a" * 54}, "/fullnameOverride': maxLength: got 54, want 53"),
        ({"commonLabels": {"app.kubernetes.io/name": "a"}}, "/commonLabels/app.kubernetes.io~1name"),
        ({"deploymentLabels": {"helm.sh/chart": "a"}}, "/deploymentLabels/helm.sh~1chart"),
        ({"serviceLabels": {"app.kubernetes.io/instance": "a"}}, "/serviceLabels/app.kubernetes.io~1instance"),
        ({"serviceAnnotations": {"a": 1}}, "/serviceAnnotations/a': got number, want string"),
        ({"serviceIPFamilyPolicy": "Dual"}, "/serviceIPFamilyPolicy': value must be one of"),
        ({"serviceAccount.create": False}, "/serviceAccount/name': minLength: got 0, want 1"),
        ({"extraEnv": [{"name": "BERTFINETUNE_WORKERS", "value": "1"}]}, "/extraEnv/0/name': 'not' failed"),
        ({"trainer.env": [{"name": "RANK_ID"}]}, "/trainer/env/0/name': 'not' failed"),
        ({"trainer.tolerations.npu": []}, "/trainer/tolerations': additional properties 'npu' not allowed"),
        ({"trainer.tolerations.cpu": [{"key": "a", "operator": "Exists", "value": "b"}]}, "/cpu/0/value"),
        ({"trainer.ttlSecondsAfterFinished": -1}, "/trainer/ttlSecondsAfterFinished': minimum: got -1, want 0"),
        ({"trainer.imagePullPolicy": "Once"}, "/trainer/imagePullPolicy': value must be one of"),
        ({"trainer.priorityClassName": "High"}, "/trainer/priorityClassName': 'High' does not match"),
        ({"volumes": [{"emptyDir": {}}]}, "/volumes/0': missing property 'name'"),
        ({"volumeMounts": [{"name": "a", "mountPath": "b"}]}, "/volumeMounts/0/mountPath': 'b' does not match"),
        ({"strategy.rollingUpdate.maxSurge": 0}, "/strategy/rollingUpdate/maxUnavailable': 'not' failed"),
        ({"livenessProbe.httpGet": {}}, "/livenessProbe': additional properties 'httpGet' not allowed"),
        ({"readinessProbe.periodSeconds": 0}, "/readinessProbe/periodSeconds': minimum: got 0, want 1"),
        ({"podDisruptionBudget.minAvailable": "half"}, "/podDisruptionBudget/minAvailable': 'half' does not match"),
        ({"topologySpreadConstraints": [{"maxSkew": 1}]}, "/topologySpreadConstraints/0': missing properties"),
        ({"dnsPolicy": "Cluster"}, "/dnsPolicy': value must be one of"),
        ({"hostAliases": [{"ip": "a.b", "hostnames": ["c"]}]}, "/hostAliases/0/ip"),
        ({"logLevel": "trace"}, "/logLevel': value must be one of"),
        ({"logFormat": "xml"}, "/logFormat': value must be one of"),
        ({"workers": 0}, "/workers': minimum: got 0, want 1"),
        ({"watchTimeoutSeconds": 60}, "/watchTimeoutSeconds': minimum: got 60, want 65"),
        ({"tolerations": [{"key": "a", "tolerationSeconds": 5}]}, "/tolerations/0': missing property 'effect'"),
        ({"monitoring.serviceMonitor.scrapeTimeout": "10"}, "/serviceMonitor/scrapeTimeout': '10' does not match"),
        ({"monitoring.podMonitor.honorLabels": True}, "/podMonitor': additional properties 'honorLabels' not allowed"),
        ({"monitoring.serviceMonitor.relabelings": [{"source_labels": []}]}, "additional properties 'source_labels'"),
        (
            {"monitoring.tensorboards": [{"namespace": "a", "claimName": "b", "subPath": "../c"}]},
            "/tensorboards/0/subPath",
        ),
        (
            {"networkPolicy.scrapers": [{"ipBlock": {"cidr": "999.1.1.1/99"}}]},
            "/scrapers/0/ipBlock/cidr': '999.1.1.1/99'",
        ),
        ({"monitoring.npuExporter.namespace": "npu_exporter"}, "/npuExporter/namespace"),
        (
            {"monitoring.dashboards.labels": {"grafana_dashboard": 1}},
            "/dashboards/labels/grafana_dashboard': got number",
        ),
        ({"trainer.images.npu": "a"}, "/trainer/images': additional properties 'npu' not allowed"),
        ({"trainer.resources.npu": {}}, "/trainer/resources': additional properties 'npu' not allowed"),
        (
            {"trainer.resources.ascend910.requests": {"huawei.com/Ascend910": 1}},
            "/trainer/resources/ascend910/requests",
        ),
        ({"trainer.resources.cpu.requests.memory": "4GB"}, "/trainer/resources/cpu/requests/memory': '4GB' does not"),
        ({"trainer.nodeSelector.npu": {}}, "/trainer/nodeSelector': additional properties 'npu' not allowed"),
        ({"trainer.nodeSelector.cpu": {"disk": 1}}, "/trainer/nodeSelector/cpu/disk': got number, want string"),
        (
            {"trainer.metadata.labels": {"a b": "c"}},
            "/trainer/metadata/labels': additional properties 'a b' not allowed",
        ),
        ({"trainer.metadata.annotations": {"job-name": "a"}}, "/trainer/metadata/annotations/job-name"),
        ({"trainer.podSecurityContext.runAsUser": 0}, "/trainer/podSecurityContext/runAsUser': minimum: got 0, want 1"),
        ({"podSecurityContext.runAsNonRoot": False}, "/podSecurityContext/runAsNonRoot"),
        ({"podSecurityContext.fsGroup": "7"}, "/podSecurityContext/fsGroup': got string, want"),
        ({"podLabels": {"a": 1}}, "/podLabels/a': got number, want string"),
        ({"podAnnotations": {"a/b/c": "d"}}, "/podAnnotations': additional properties 'a/b/c' not allowed"),
        ({"enabled": "yes"}, "/enabled': got string, want boolean"),
        ({"ascend.runtimeClassName": "A"}, "/ascend/runtimeClassName': 'A' does not match"),
        ({"ascend.resource": "Ascend910"}, "/ascend/resource': 'Ascend910' does not match"),
        ({"ascend.virtualDevices": {"3c": "a.b/c"}}, "/ascend/virtualDevices': additional properties '3c' not allowed"),
        ({"ascend.driver": "hostpath"}, "/ascend/driver': value must be one of 'runtime', 'hostPath'"),
        ({"ascend.deviceGroups": ["HwHiAiUser"]}, "/ascend/deviceGroups/0': got string, want integer"),
        ({"ascend.cardAddresses": "File"}, "/ascend/cardAddresses': got string, want boolean"),
        ({"scheduling.defaultQueue": 1}, "/scheduling/defaultQueue': got number, want string"),
        ({"scheduling.defaultSchedulerName": "Volcano"}, "/scheduling/defaultSchedulerName': 'Volcano' does not match"),
        ({"scheduling.queue": "a"}, "/scheduling': additional properties 'queue' not allowed"),
        ({"priorityClassName": "High"}, "/priorityClassName': 'High' does not match"),
        ({"affinity.node": {}}, "/affinity': additional properties 'node' not allowed"),
        ({"resources.request": {}}, "/resources': additional properties 'request' not allowed"),
        ({"resources.limits.memory": True}, "/resources/limits/memory': got boolean, want number or string"),
        ({"image.pullSecrets": ["A"]}, "/image/pullSecrets/0': 'A' does not match"),
        ({"crds.keep": "yes"}, "/crds/keep': got string, want boolean"),
        ({"networkPolicy.enabled": "no"}, "/networkPolicy/enabled': got string, want boolean"),
        ({"networkPolicy.apiServer.cidrs": ["10.0.0.1"]}, "/apiServer/cidrs/0': '10.0.0.1' does not match"),
        ({"networkPolicy.apiServer.ports": []}, "/apiServer/ports': minItems: got 0, want 1"),
        ({"networkPolicy.dnsPorts": [0]}, "/networkPolicy/dnsPorts/0': minimum: got 0, want 1"),
        (
            {"networkPolicy.downloads": [{"ipBlock": {"cidr": "10.0.0.0/8", "exclude": []}}]},
            "/networkPolicy/downloads/0/ipBlock': additional properties 'exclude' not allowed",
        ),
        ({"admissionPolicy.hostPaths": ["data"]}, "/admissionPolicy/hostPaths/0': 'data' does not match"),
        ({"admissionPolicy.mode": "audit"}, "/admissionPolicy': additional properties 'mode' not allowed"),
        ({"rbac.aggregate": True}, "/rbac': additional properties 'aggregate' not allowed"),
        ({"resources.requests.memory": "4GB"}, "/resources/requests/memory': '4GB' does not match"),
        ({"tensorboard.resources.limits": {"cpu": "x y"}}, "/tensorboard/resources/limits/cpu': 'x y' does not match"),
        ({"nodeSelector": {"a b": "c"}}, "/nodeSelector': additional properties 'a b' not allowed"),
        ({"trainer.nodeSelector.ascend910": {"a": "c d"}}, "/nodeSelector/ascend910/a': 'c d' does not match"),
        ({"dnsConfig.searches": ["a b"]}, "/dnsConfig/searches/0': 'a b' does not match"),
        ({"monitoring.rules.labels": {"a-b c": "x"}}, "/rules/labels': additional properties 'a-b c' not allowed"),
        *(
            ({f"monitoring.{name}.labels": {"a": "c d"}}, f"/monitoring/{name}/labels/a': 'c d' does not match")
            for name in ("serviceMonitor", "podMonitor", "npuExporter", "prometheusRule")
        ),
        (
            {"monitoring.dashboards.annotations": {"a b": "c d"}},
            "/dashboards/annotations': additional properties 'a b' not allowed",
        ),
    ],
    [
        (
            {"image.registry": "r", "image.repository": "r.example.com/op"},
            "/image/repository': value must be 'a name without a registry, since image.registry is set'",
        ),
        ({"image.tag": f"1@{DIGEST}"}, "/image/tag': value must be 'a tag: write a digest into image.digest'"),
        ({"commonLabels": {"a": "b c"}}, "/commonLabels/a': 'b c' does not match"),
        ({"extraEnv": [{"name": "1"}]}, "/extraEnv/0/name': '1' does not match"),
        ({"trainer.env": [{"name": "A", "valueFrom": {}}]}, "additional properties 'valueFrom' not allowed"),
        ({"strategy.rollingUpdate.maxSurge": "1/2"}, "/strategy/rollingUpdate/maxSurge': '1/2' does not match"),
        ({"dnsPolicy": "None"}, "/dnsConfig': missing property 'nameservers'"),
        ({"tolerations": [{"value": "a"}]}, "/tolerations/0': missing property 'key'"),
        ({"trainer.tolerations.cpu": [{"key": "a b", "operator": "Exists"}]}, "/trainer/tolerations/cpu/0/key"),
        (
            {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "a b", "whenUnsatisfiable": "DoNotSchedule"}]},
            "/topologySpreadConstraints/0/topologyKey': 'a b' does not match",
        ),
        ({"dnsConfig.searches": ["a..b"]}, "/dnsConfig/searches/0': 'a..b' does not match"),
        ({"trainer.imagePullSecrets": "registry"}, "/trainer/imagePullSecrets': got string, want array"),
        ({"trainer.metadata.labels": {"a": "b c"}}, "/trainer/metadata/labels/a': 'b c' does not match"),
        ({"ascend.virtualDevices": {"2c": "c"}}, "/ascend/virtualDevices/2c': 'c' does not match"),
        ({"ascend.drivers": []}, "/ascend': additional properties 'drivers' not allowed"),
        (
            {"networkPolicy.scrapers": [{"namespace": "a"}]},
            "/scrapers/0': additional properties 'namespace' not allowed",
        ),
        (
            {"networkPolicy.downloads": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]},
            "/networkPolicy/downloads/0': maxProperties: got 2, want 1",
        ),
        ({"networkPolicy.apiServer.cidrs": ["999.1.1.1/99"]}, "/apiServer/cidrs/0': '999.1.1.1/99' does not match"),
        ({"admissionPolicy.hostPaths": ["/a'b"]}, "/admissionPolicy/hostPaths/0': '/a\\'b' does not match"),
    ],
    [
        ({"image.tag": "1.0+a"}, "/image/tag': '1.0+a' does not match"),
        ({"trainer.imagePullSecrets": [{"names": "a"}]}, "/trainer/imagePullSecrets/0': missing property 'name'"),
        ({"trainer.metadata.labels": {"bertfinetune.dev/uid": "a"}}, "/trainer/metadata/labels/bertfinetune.dev~1uid"),
        ({"tolerations": [{"keys": "a"}]}, "/tolerations/0': additional properties 'keys' not allowed"),
        (
            {"extraEnv": [{"name": "A", "value": "b", "valueFrom": {}}]},
            "/extraEnv/0': 'not' failed",
        ),
        (
            {"networkPolicy.downloads": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]},
            "/networkPolicy/downloads/0/podSelector/matchExpressions/0': missing property 'values'",
        ),
        ({"networkPolicy.scrapers": [{}]}, "/networkPolicy/scrapers/0': minProperties: got 0, want 1"),
        ({"networkPolicy.trainers": True}, "/networkPolicy': additional properties 'trainers' not allowed"),
        ({"admissionPolicy.hostPaths": ["/data/"]}, "/admissionPolicy/hostPaths/0': '/data/' does not match"),
    ],
    [
        ({"image.tag": 1.0}, "/image/tag': got number, want string"),
        (
            {"networkPolicy.scrapers": [{"podSelector": {"app": "x"}}]},
            "/networkPolicy/scrapers/0/podSelector': additional properties 'app' not allowed",
        ),
        (
            {"trainer.metadata.labels": {"kueue.x-k8s.io/queue-name": "a"}},
            "/trainer/metadata/labels/kueue.x-k8s.io~1queue-name",
        ),
    ],
]
"""Of each list the values are set together: the schema names all that is wrong at once."""


@pytest.mark.parametrize("cases", MANY, ids=len)
def test_each_of_many_bad_values_is_named(cases: list[tuple[Raw, str]]) -> None:
    done = template(**{name: value for values, _ in cases for name, value in values.items()})
    assert done.returncode != 0
    for _, words in cases:
        assert words in done.stderr


BYTES = st.one_of(st.integers(0, 300).map(str), st.sampled_from(["01", "1a", ""]))
GROUPS = st.lists(st.sampled_from(["0", "fd00", "A", "12345", "g", ""]), min_size=1, max_size=9)
ADDRESSES = st.one_of(
    st.lists(BYTES, min_size=3, max_size=5).map(".".join),
    GROUPS.map(":".join),
    st.ip_addresses().map(str),
    st.tuples(GROUPS, GROUPS).map(lambda halves: "::".join(map(":".join, halves))),
)


@given(ADDRESSES, st.one_of(st.integers(0, 140).map(str), st.sampled_from(["08", "", "-1", "x"])))
@example("999.1.1.1", "99")
@example("::", "0")
@example("::ffff", "128")
def test_a_cidr_is_one_to_the_schema_where_it_is_one(address: str, prefix: str) -> None:
    cidr = f"{address}/{prefix}"
    try:
        is_one = bool(ip_network(cidr, strict=False)) and str(int(prefix)) == prefix
    except ValueError:
        is_one = False
    assert is_a("cidr", cidr) == is_one


def is_a(definition: str, text: str) -> bool:
    return any(re.search(choice["pattern"], text) for choice in SCHEMA["definitions"][definition]["anyOf"])


@given(ADDRESSES)
@example("256.1.1.1")
@example("::1")
def test_an_address_is_one_to_the_schema_where_it_is_one(address: str) -> None:
    try:
        ip_address(address)
    except ValueError:
        assert not is_a("address", address)
    else:
        assert is_a("address", address)
