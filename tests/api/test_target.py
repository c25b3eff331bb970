from pathlib import Path

import pytest
import yaml

from lab.cluster.errors import ClusterError
from lab.demo import target


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    path = tmp_path / "kubeconfig"
    cluster = {"name": "prod", "cluster": {"server": "https://127.0.0.1:1"}}
    contexts = [{"name": "prod-eu", "context": {"cluster": "prod", "user": "me"}}]
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "prod-eu",
                "clusters": [cluster],
                "contexts": contexts,
            }
        )
    )
    return str(path)


@pytest.mark.parametrize("confirmed", [None, "", "prod-us"])
def test_an_unconfirmed_context_is_refused_by_name(kubeconfig: str, confirmed: str | None) -> None:
    with pytest.raises(ClusterError, match=r"refusing to touch context 'prod-eu'.*CONFIRM_CONTEXT=prod-eu"):
        target.choose(kubeconfig, "registry.example.com/team", confirmed)


def test_a_confirmed_context_is_pinned(kubeconfig: str) -> None:
    chosen = target.choose(kubeconfig, "registry.example.com/team", "prod-eu")
    assert not chosen.is_local
    assert "--context=prod-eu" in chosen.kubectl.argv


def test_an_own_cluster_needs_a_registry(kubeconfig: str) -> None:
    with pytest.raises(ClusterError, match="IMAGE_REGISTRY is not set"):
        target.choose(kubeconfig, "", "prod-eu")


def test_a_missing_kubeconfig_is_named() -> None:
    with pytest.raises(ClusterError, match=r"KUBECONFIG=/nowhere/kubeconfig: no such file"):
        target.choose("/nowhere/kubeconfig", "registry.example.com/team", None)
