"""Keys, certificates and kubeconfigs of the cluster, made anew for each one."""

from collections.abc import Mapping
from pathlib import Path

import trustme
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lab.cluster.layout import API_URL, CLUSTER_DOMAIN, KUBECONFIG, KUBERNETES_SERVICE_IP, NODE_IP, NODE_NAME, PKI

# Who may do what, by the names that Kubernetes' own RBAC bootstrap policy knows: (user, group).
IDENTITIES = {
    "admin": ("bertfinetune-admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", None),
    "kube-scheduler": ("system:kube-scheduler", None),
    "kube-proxy": ("system:kube-proxy", None),
    "kubelet": (f"system:node:{NODE_NAME}", "system:nodes"),
}


def write_pki(administrators: Mapping[str, str] = {}) -> None:
    """Write the CA, the serving certificates, the service-account key and one kubeconfig an identity.

    ``administrators`` are further identities that may do everything: kubeconfig name to user.
    """
    PKI.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(PKI / "ca.crt"))
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{CLUSTER_DOMAIN}")
    _write_pair(authority.issue_cert(*names, "localhost", "127.0.0.1", NODE_IP, KUBERNETES_SERVICE_IP), "apiserver")
    _write_pair(
        authority.issue_cert(NODE_NAME, NODE_IP, "127.0.0.1", common_name=f"system:node:{NODE_NAME}"), "kubelet-serving"
    )
    _write_secret(PKI / "service-account.key", _rsa_key())
    further = {name: (user, "system:masters") for name, user in administrators.items()}
    for name, (user, group) in (IDENTITIES | further).items():
        _write_pair(authority.issue_cert(f"{name}.invalid", common_name=user, organization_name=group), name)
        path = KUBECONFIG if name == "admin" else PKI / f"{name}.kubeconfig"
        _write_secret(path, yaml.safe_dump(_kubeconfig(name, user)).encode())


def _write_pair(pair: trustme.LeafCert, name: str) -> None:
    (PKI / f"{name}.crt").write_bytes(b"".join(blob.bytes() for blob in pair.cert_chain_pems))
    _write_secret(PKI / f"{name}.key", pair.private_key_pem.bytes())


def _write_secret(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)


def _rsa_key() -> bytes:
    """A key for signing service-account tokens; the API server wants RSA or ECDSA in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _kubeconfig(name: str, user: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bertfinetune-demo",
        "clusters": [
            {"name": "bertfinetune-demo", "cluster": {"server": API_URL, "certificate-authority": str(PKI / "ca.crt")}}
        ],
        "users": [
            {
                "name": user,
                "user": {"client-certificate": str(PKI / f"{name}.crt"), "client-key": str(PKI / f"{name}.key")},
            }
        ],
        "contexts": [{"name": "bertfinetune-demo", "context": {"cluster": "bertfinetune-demo", "user": user}}],
    }
