"""A certificate authority that no system knows, and the certificate that it gives to a server on this machine."""

import subprocess
from pathlib import Path
from typing import NamedTuple

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj")


class Authority(NamedTuple):
    """PEM files: the authority's certificate, and a server's certificate and key."""

    bundle: Path
    certificate: Path
    key: Path


def make_authority(folder: Path) -> Authority:
    """Makes an authority and a server's certificate for 127.0.0.1, by the openssl that ca-certificates depends on."""
    bundle, key = folder / "ca.crt", folder / "ca.key"
    request, certificate, server_key = folder / "server.csr", folder / "server.crt", folder / "server.key"
    extensions = folder / "extensions"
    extensions.write_text("subjectAltName=IP:127.0.0.1\n")
    _openssl("req", "-x509", *KEY, "/CN=private authority", "-keyout", key, "-out", bundle, "-days", "2")
    _openssl("req", *KEY, "/CN=server", "-keyout", server_key, "-out", request)
    issuer = ("-CA", bundle, "-CAkey", key, "-CAcreateserial")
    _openssl("x509", "-req", "-in", request, *issuer, "-extfile", extensions, "-out", certificate, "-days", "2")
    return Authority(bundle, certificate, server_key)


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
