"""Writes renewals.json: renewals of a doorbell's certificate, with the bytes that are signed.

    python -m tests.vectors.make_renewals

Keys, numbers, times and signatures are fixed, so that each run writes the same file.
"""

import datetime as dt
import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from firmware.protocol.encoding import b64u, device_id_of
from firmware.protocol.passkeys import spki_of
from firmware.protocol.renewals import Renewal, RenewalRequest, renewal_message

PATH = Path(__file__).parent / "renewals.json"
RELAY = ec.derive_private_key(0xCA, ec.SECP256R1())
DOORBELL = ec.derive_private_key(0xD00B, ec.SECP256R1())
STARTS = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
LIFE = dt.timedelta(days=90)


def renewal_vectors() -> dict[str, object]:
    """Return all of the file."""
    old, new = _certificate(1, STARTS), _certificate(2, STARTS + dt.timedelta(days=60))
    message = renewal_message(old)
    signature = DOORBELL.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    request = RenewalRequest(certificate_pem=_pem(old), signature=b64u(signature))
    return {
        "device": device_id_of(spki_of(DOORBELL.public_key())),
        "identity_key": b64u(spki_of(DOORBELL.public_key())),
        "message_hex": message.hex(),
        "request": request.encode().decode(),
        "renewal": Renewal(certificate_pem=_pem(new)).encode().decode(),
    }


def _certificate(number: int, starts: dt.datetime) -> x509.Certificate:
    device = device_id_of(spki_of(DOORBELL.public_key()))
    return (
        x509.CertificateBuilder()
        .subject_name(_name(device))
        .issuer_name(_name("Doorward relay"))
        .public_key(DOORBELL.public_key())
        .serial_number(number)
        .not_valid_before(starts)
        .not_valid_after(starts + LIFE)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(RELAY, hashes.SHA256(), ecdsa_deterministic=True)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def main() -> None:
    """Write the file."""
    PATH.write_text(json.dumps(renewal_vectors(), indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
