"""Which Kubernetes these tests are run on: `make test-versions` repeats them on others."""

import os

from lab.demo.target import Target


def test_the_api_server_is_of_the_version_that_was_asked_for(target: Target) -> None:
    """A cluster that was up already may be of another one. kubectl is built with the control plane that is wanted.

    Both are of the usual version where nobody has looked at what was asked for.
    """
    version, asked_for = target.kubectl.version(), os.environ.get("BERTFINETUNE_KUBERNETES_VERSION")
    assert version == target.kubectl.client_version()
    assert asked_for is None or version.startswith(f"v{asked_for}.")
