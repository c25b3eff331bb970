"""Which addresses no download may lead to."""

import pytest

from bert_trainer.fetch.guard import is_forbidden


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
    ],
)
def test_metadata_services(host: str) -> None:
    assert is_forbidden(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.96.0.1", "192.168.1.1", "100.100.100.201", "fd00::1", "::1"])
def test_servers_of_a_site(host: str) -> None:
    assert not is_forbidden(host)
