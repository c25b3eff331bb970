"""The page of day 0: its manifest fits the samples and the chart, and it speaks of reasons that there are."""

import re
from pathlib import Path
from typing import Any

import yaml

from bertfinetune_operator.api.status import PHASES
from bertfinetune_operator.settings import TRAINER_POD_SECURITY_CONTEXT
from lab.cluster.layout import PROJECT
from lab.images.shipped import version
from support.helm import CHART, helm
from support.runs import sample

TEXT = (PROJECT / "operator/docs/ascend-cluster.md").read_text()
MANIFEST: list[dict[str, Any]] = [*yaml.safe_load_all((CHART / "files/claims/claims.yaml").read_text())]
CLAIMS = {raw["metadata"]["name"] for raw in MANIFEST if raw["kind"] == "PersistentVolumeClaim"}
(LOADER,) = (raw["spec"] for raw in MANIFEST if raw["kind"] == "Pod")


def test_the_claims_are_those_of_the_first_sample() -> None:
    spec = sample()["spec"]
    places = [spec["model"]["source"], spec["data"]["source"], spec["output"]]
    assert {place["claim"]["claimName"] for place in places} == CLAIMS


def test_the_loader_is_the_trainer_s_user_and_image() -> None:
    """What another user writes, the trainer could not read, and another version's tool may not be there."""
    (container,) = LOADER["containers"]
    assert LOADER["securityContext"] == TRAINER_POD_SECURITY_CONTEXT
    assert container["image"].endswith(f"/trainer-ascend910:{version()}")
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {f"/claims/{name}": name for name in CLAIMS} | {"/tmp": "tmp"}


def test_the_loader_s_comments_are_fields_of_a_pod() -> None:
    """For nodes that are tainted, and for a registry with credentials."""
    manifest = (CHART / "files/claims/claims.yaml").read_text()
    commented = re.findall(r"^  # (\w+: \[.*)$", manifest, re.MULTILINE)
    fields = yaml.safe_load("\n".join(commented))
    assert fields == {
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "imagePullSecrets": [{"name": "registry"}],
    }


def test_the_values_of_the_page_are_the_chart_s(tmp_path: Path) -> None:
    (values,) = re.findall(r"^```yaml\n(# values-ascend.yaml\n.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    file = tmp_path / "values.yaml"
    file.write_text(values)
    done = helm("template", "op", CHART, f"--values={file}")
    assert done.returncode == 0, done.stderr
    assert '"[{\\"key\\":\\"dedicated\\",\\"operator\\":\\"Exists\\"}]"' in done.stdout
    assert re.search(r"trainer-cpu:\S+ # .*arm64", values)


def test_images_are_pushed_as_on_the_page_for_clusters_without_internet() -> None:
    push = [line for line in TEXT.splitlines() if "skopeo copy" in line]
    assert len(push) == 1
    assert push[0] in (PROJECT / "operator/docs/air-gap.md").read_text()


def test_the_page_names_the_sizes_of_the_manifest() -> None:
    claims = [raw for raw in MANIFEST if raw["metadata"]["name"] in CLAIMS]
    for claim in claims:
        assert f"| `{claim['metadata']['name']}` | {claim['spec']['resources']['requests']['storage']} |" in TEXT


def test_what_a_forgotten_step_looks_like_is_what_the_operator_says() -> None:
    table = TEXT.partition("## What it looks like when a step was forgotten")[2].partition("\n## ")[0]
    said = [row.split(" | ")[1] for row in table.splitlines() if row.startswith("| ")][2:]
    assert len(said) > 15
    assert any("untolerated taint" in cell for cell in said)
    reasons = {word for cell in said for word in re.findall(r"`([A-Z][A-Za-z]+)`", cell)}
    known = set(re.findall(r"`([A-Z][A-Za-z]+)`", (PROJECT / "operator/docs/troubleshooting.md").read_text()))
    assert reasons <= known
    phases = {word for cell in said for word in re.findall(r"(?:^|or )([A-Z][a-z]+),", cell)}
    assert phases == {"Pending", "Retrying", "Failed"} <= set(PHASES)
