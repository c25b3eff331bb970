"""Which Kubernetes these tests are run on: `make test-versions` repeats them on others."""

from lab.demo.target import Target


def test_the_api_server_is_of_the_version_that_was_asked_for(target: Target) -> None:
    """A cluster that was up already may be of another one. kubectl is built with the control plane that is wanted."""
    assert target.kubectl.version() == target.kubectl.client_version()
