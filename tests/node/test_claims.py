import uuid
from pathlib import Path

from lab.demo import claims
from lab.demo.target import Target


def test_claims_can_be_made_again_after_their_namespace_was_deleted(target: Target, tmp_path: Path) -> None:
    """What the demo's own clean-up line does: the volumes are retained, and must serve the next claims of that name."""
    (tmp_path / "train.tsv").write_text("data\n")
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    for _ in range(2):
        claims.ensure(target, namespace, {"data": tmp_path})
        assert claims.create(target, namespace, {"data": tmp_path}) == {}, "what was copied is not recognized"
        target.kubectl.run("delete", "namespace", namespace, "--timeout=60s")
    target.kubectl.run("delete", "persistentvolume", f"{namespace}-data")
