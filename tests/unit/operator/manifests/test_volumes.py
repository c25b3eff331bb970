"""The volumes of a pod: one for each claim and each folder of a node, whichever roles they have."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bertfinetune_operator.api.spec import BertFinetune
from bertfinetune_operator.manifests.volumes import mounts, volumes
from support import builders as make

Raw = dict[str, Any]
PATHS = {"model": "/model", "data": "/data", "output": "/output"}

claims = st.builds(
    lambda name, folder: {"claim": {"claimName": name} | ({"subPath": folder} if folder else {})},
    st.sampled_from(["research", "corpora", "runs"]),
    st.sampled_from([None, "weights", "out"]),
)
host_paths = st.sampled_from(["/srv/bert", "/srv/runs"]).map(lambda path: {"hostPath": {"path": path}})
uris = st.just({"uri": {"url": "https://example.com/a.tar", "sha256": "0" * 64}})
places = claims | host_paths


@given(st.fixed_dictionaries({"model": places | uris, "data": places | uris, "output": places}))
def test_every_claim_is_one_volume_and_every_role_finds_its_folder_in_it(roles: Raw) -> None:
    spec = {role: roles[role] if role == "output" else {"source": roles[role]} for role in roles}
    obj = BertFinetune.model_validate(make.bertfinetune(spec=spec))
    by_name = {volume["name"]: volume for volume in volumes(obj)}
    sources = [
        volume.get("persistentVolumeClaim", {}).get("claimName") or volume["hostPath"]["path"]
        for volume in by_name.values()
        if "emptyDir" not in volume
    ]
    assert len(by_name) == len(volumes(obj))
    assert len(sources) == len(set(sources))
    by_path = {mount["mountPath"]: mount for mount in mounts(obj)}
    assert list(by_path) == list(PATHS.values())
    for role, place in roles.items():
        mount = by_path[PATHS[role]]
        volume = by_name[mount["name"]]
        claim = volume.get("persistentVolumeClaim", {})
        assert claim.get("claimName") == place.get("claim", {}).get("claimName")
        assert volume.get("hostPath", {}).get("path") == place.get("hostPath", {}).get("path")
        assert ("emptyDir" in volume) == ("uri" in place)
        assert mount.get("subPath") == place.get("claim", {}).get("subPath")
        assert mount.get("readOnly", False) == (role != "output")
        if claim:
            users = [other for other in by_path.values() if other["name"] == mount["name"]]
            assert claim.get("readOnly", False) == all(other.get("readOnly") for other in users)
        if "uri" in place:
            assert mount["name"] == role  # its downloader mounts it by that name
