"""The object store's own keys: without them a process on its machine reads and writes nothing.

SeaweedFS has more ports than S3, and by itself asks nobody on them who they are: whoever reaches
the filer or the master on loopback lists, overwrites and deletes sealed packages and tiles. With
these files each of its servers asks the others for a certificate (gRPC over mutual TLS), and the
volume server asks for a token; the filer's and master's HTTP is off (`-disableHttp`). They are
read from the folder in which it is started: `weed -config_dir=. mini -disableHttp …`.
"""

import secrets
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from relay.fleet.ca import key_pem, pem_of

CERTIFICATE, KEY = "store.pem", "store.key"
DAYS = 36_500
"""Nobody else ever sees this certificate, and a store that stops one day helps nobody."""
_SERVERS = ("master", "volume", "filer", "s3", "admin", "worker", "mq", "client")
_TOKENS = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")


def store_security(now_ms: int) -> dict[str, str]:
    """Return the files' texts by their names, with fresh keys."""
    key = ec.generate_private_key(ec.SECP256R1())
    return {
        "security.toml": _security_toml(),
        CERTIFICATE: pem_of(_certificate(key, now_ms)),
        KEY: key_pem(key),
    }


def _security_toml() -> str:
    lines = ["# The object store's own keys, by doorward-relay init. Secret; read by SeaweedFS."]
    for table in _TOKENS:
        lines += ["", f"[{table}]", f'key = "{secrets.token_urlsafe(32)}"']
    lines += ["", "[grpc]", f'ca = "{CERTIFICATE}"']
    for server in _SERVERS:
        lines += ["", f"[grpc.{server}]", f'cert = "{CERTIFICATE}"', f'key = "{KEY}"']
    return "\n".join(lines) + "\n"


def _certificate(key: ec.EllipticCurvePrivateKey, now_ms: int) -> x509.Certificate:
    """Return a certificate that is its own authority: this one key is let in, and no other."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "doorward object store")])
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
