"""A real API server takes the chart with each of ci/*-values.yaml: as a manifest, and as a release of Helm 3 and 4."""

from pathlib import Path

import pytest

from lab.demo.target import Target
from support.helm import CHART, HELMS, VALUES, Release, by_both

pytestmark = pytest.mark.usefixtures("crds_of_others")


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_the_api_server_takes_it(target: Target, namespace: str, values: Path) -> None:
    target.kubectl.run("label", "namespace", namespace, "pod-security.kubernetes.io/warn=restricted")
    rendered = by_both("template", "op", CHART, f"--namespace={namespace}", f"--values={values}")
    assert rendered.returncode == 0, rendered.stderr
    manifest = ("--filename=-", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    done = target.kubectl.run("apply", *manifest, stdin=rendered.stdout)
    assert done.stdout.count("(server dry run)") == rendered.stdout.count("\nkind: ")
    assert "arning" not in done.stderr


@pytest.mark.parametrize("program", HELMS)
@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_it_is_installed_and_leaves_nothing(target: Target, namespace: str, values: Path, program: str) -> None:
    """Without an operator that runs, and without the CRD: both are another release's here."""
    release = Release(namespace, namespace)
    without = ("--set=replicas=0", "--set=crds.install=false")
    release.do("install", CHART, f"--values={values}", *without, program=program)
    manifest = release.do("get manifest", program=program)
    installed = target.kubectl.run("get", "--filename=-", "--output=name", stdin=manifest).stdout.split()
    assert len(installed) == manifest.count("\nkind: ")
    release.do("uninstall", "--wait", program=program)
    left = target.kubectl.run("get", "--filename=-", "--output=name", "--ignore-not-found", stdin=manifest).stdout
    assert left == ""
