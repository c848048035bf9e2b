"""A key in a file, in place of a FIDO2 key: an approver's, or an owner's passkey.

It is as safe as the file and its passphrase.

With a passphrase the private scalar is sealed (AES-256-GCM under scrypt of it); without one it lies
there in the clear. A file that others may read is refused. The key can't see whether a person is
there: this program asks, and the flags say so in its name.
"""

import hashlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from firmware.companion.authenticator.errors import KeyRefused
from firmware.companion.authenticator.passkey import Attested, CreationWanted, Site, client_data
from firmware.companion.owner.approver import new_credential_id
from firmware.protocol.encoding import (
    Document,
    Line,
    P256Key,
    ShortB64u,
    WireError,
    b64u,
    decode,
    unb64u,
)
from firmware.protocol.owner_codes import APPROVER_ORIGIN, APPROVER_RP_ID, ApproverCode
from firmware.protocol.passkeys import (
    FLAG_USER_PRESENT,
    FLAG_USER_VERIFIED,
    Assertion,
    PasskeyKey,
    load_p256,
    spki_of,
)
from firmware.system.durable_files import write_atomic

MAX_FILE_BYTES = 4096
MIN_PASSPHRASE_CHARS = 8
SCRYPT_N = 2**17
"""With r = 8 and p = 1 (RFC 7914): 128 MB and about half a second for each guess."""
_SCALAR_BYTES = 32
_FLAG_ATTESTED = 0x40
_AAGUID = bytes(16)
"""No make of authenticator (WebAuthn 6.5.1)."""
_AAD = b"doorward/approver-key-file/v1"

AskPassphrase = Callable[[], str]


class Sealed(Document, frozen=True, kw_only=True):
    """A private scalar under a passphrase."""

    salt: ShortB64u
    nonce: ShortB64u
    data: ShortB64u


class KeptKey(Document, frozen=True, kw_only=True):
    """The file: exactly one of `scalar` (in the clear) and `sealed` is there."""

    v: Literal[1] = 1
    name: Line
    credential_id: ShortB64u
    public_key: P256Key
    scalar: ShortB64u | None = None
    sealed: Sealed | None = None
    site: Site | None = None
    """Where an owner's passkey counts; None: it is an approver's key."""


class FileKey:
    """One key in a file; asks for the passphrase when it first signs.

    Implements `approver.ApproverKey` and `passkey.OwnerPasskey`: which of them it is, the file
    says, and each has its own way to be loaded.
    """

    def __init__(self, kept: KeptKey, ask_passphrase: AskPassphrase) -> None:
        self._kept = kept
        self._ask_passphrase = ask_passphrase
        self._private: ec.EllipticCurvePrivateKey | None = None

    @property
    def code(self) -> ApproverCode:
        """Its public half, and what it is called."""
        return ApproverCode(name=self._kept.name, key=self.key)

    @property
    def key(self) -> PasskeyKey:
        """Its public half, and the only site for which it signs."""
        site = self._kept.site or Site(rp_id=APPROVER_RP_ID, origin=APPROVER_ORIGIN)
        return PasskeyKey(
            credential_id=self._kept.credential_id,
            public_key=self._kept.public_key,
            rp_id=site.rp_id,
            origin=site.origin,
        )

    @property
    def has_passphrase(self) -> bool:
        """Tell whether who has the file lacks the key."""
        return self._kept.sealed is not None

    def attest(self, wanted: CreationWanted) -> Attested:
        """Say what a relay registers; nothing is signed (attestation "none")."""
        key = self.key
        credential_id = unb64u(key.credential_id)
        length = len(credential_id).to_bytes(2, "big")
        attested = _AAGUID + length + credential_id + _cose_key(unb64u(key.public_key))
        return Attested(
            key=key,
            client_data=client_data("webauthn.create", wanted.challenge_bytes, key.origin),
            attestation_object=_attestation_object(self._said(_FLAG_ATTESTED) + attested),
            transports=("internal",),
        )

    def sign(self, challenge: bytes) -> Assertion:
        """Sign as a passkey does, or raise KeyRefused."""
        key = self.key
        data = client_data("webauthn.get", challenge, key.origin)
        authenticator_data = self._said()
        message = authenticator_data + hashlib.sha256(data).digest()
        return Assertion(
            credential_id=key.credential_id,
            authenticator_data=b64u(authenticator_data),
            client_data_json=b64u(data),
            signature=b64u(self._key().sign(message, ec.ECDSA(hashes.SHA256()))),
        )

    def _said(self, more_flags: int = 0) -> bytes:
        """Return authenticator data (WebAuthn 6.1): its counter stays at none."""
        flags = FLAG_USER_PRESENT | FLAG_USER_VERIFIED | more_flags
        return hashlib.sha256(self.key.rp_id.encode()).digest() + bytes([flags]) + bytes(4)

    def _key(self) -> ec.EllipticCurvePrivateKey:
        if self._private is None:
            private = ec.derive_private_key(
                int.from_bytes(_scalar(self._kept, self._ask_passphrase), "big"), ec.SECP256R1()
            )
            if spki_of(private.public_key()) != unb64u(self._kept.public_key):
                raise KeyRefused("the key file is damaged: its private half belongs to another key")
            self._private = private
        return self._private


def make_key_file(path: Path, *, name: str, passphrase: str, site: Site | None = None) -> FileKey:
    """Make a key and keep it (0600); an empty passphrase keeps it in the clear.

    With a site it is an owner's passkey there, else an approver's key.

    KeyRefused if there is such a file already, or if it can't be written.
    """
    if path.exists():
        raise KeyRefused(f"{path} is there already; move it away or take another name")
    if passphrase and len(passphrase) < MIN_PASSPHRASE_CHARS:
        raise KeyRefused(
            f"take a passphrase of at least {MIN_PASSPHRASE_CHARS} characters, or none"
        )
    private = ec.generate_private_key(ec.SECP256R1())
    scalar = private.private_numbers().private_value.to_bytes(_SCALAR_BYTES, "big")
    kept = KeptKey(
        name=name,
        credential_id=new_credential_id(),
        public_key=b64u(spki_of(private.public_key())),
        scalar=None if passphrase else b64u(scalar),
        sealed=_seal(scalar, passphrase) if passphrase else None,
        site=site,
    )
    try:
        write_atomic(path, kept.encode())
    except OSError as error:
        raise KeyRefused(f"{path} can't be written: {error.strerror}") from error
    return FileKey(kept, lambda: passphrase)


def load_key_file(path: Path, ask_passphrase: AskPassphrase) -> FileKey:
    """Return the approver's key in a file, or raise KeyRefused."""
    kept = _load(path)
    if kept.site is not None:
        raise KeyRefused(
            f"{path} is an owner's passkey, and that alone never confirms: make another key with "
            "`doorward approve --new-key`"
        )
    return FileKey(kept, ask_passphrase)


def load_passkey_file(path: Path, site: Site, ask_passphrase: AskPassphrase) -> FileKey:
    """Return the owner's passkey in a file, for this site, or raise KeyRefused."""
    kept = _load(path)
    if kept.site is None:
        raise KeyRefused(f"{path} is a key that confirms, not an owner's passkey: take another")
    if kept.site != site:
        raise KeyRefused(
            f"{path} is a passkey for {kept.site.origin}, not for {site.origin}: take another "
            "file, or give --owner-origin"
        )
    return FileKey(kept, ask_passphrase)


def _load(path: Path) -> KeptKey:
    try:
        kept = decode(KeptKey, _read(path), max_bytes=MAX_FILE_BYTES)
        load_p256(unb64u(kept.public_key))
        unb64u(kept.credential_id)
    except WireError as error:
        raise KeyRefused(f"{path} isn't a key that this program made: {error}") from error
    if (kept.scalar is None) == (kept.sealed is None):
        raise KeyRefused(f"{path} is damaged: it has no private half, or two")
    return kept


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KeyRefused(f"{path} can't be read: {error.strerror}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise KeyRefused(f"others may read {path}, so it isn't secret: chmod 600 {path}")
    return data


def _scalar(kept: KeptKey, ask_passphrase: AskPassphrase) -> bytes:
    try:
        if kept.sealed is not None:
            scalar = _open(kept.sealed, ask_passphrase())
        else:
            scalar = unb64u(kept.scalar or "")
    except WireError as error:
        raise KeyRefused(f"the key file is damaged: {error}") from error
    if len(scalar) != _SCALAR_BYTES or not any(scalar):
        raise KeyRefused("the key file is damaged: not a P-256 key")
    return scalar


def _seal(scalar: bytes, passphrase: str) -> Sealed:
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    data = AESGCM(_under(passphrase, salt)).encrypt(nonce, scalar, _AAD)
    return Sealed(salt=b64u(salt), nonce=b64u(nonce), data=b64u(data))


def _open(sealed: Sealed, passphrase: str) -> bytes:
    key = _under(passphrase, unb64u(sealed.salt))
    try:
        return AESGCM(key).decrypt(unb64u(sealed.nonce), unb64u(sealed.data), _AAD)
    except (InvalidTag, ValueError) as error:
        raise KeyRefused("the passphrase is wrong, or the key file is damaged") from error


def _under(passphrase: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        passphrase.encode(), salt=salt, n=SCRYPT_N, r=8, p=1, dklen=32, maxmem=256 * 1024 * 1024
    )


def _cose_key(spki: bytes) -> bytes:
    """Return an ES256 key as COSE (RFC 9053 7.1.1): a map in CBOR of exactly this form."""
    numbers = load_p256(spki).public_numbers()
    x, y = (coordinate.to_bytes(_SCALAR_BYTES, "big") for coordinate in (numbers.x, numbers.y))
    return bytes.fromhex("a5010203262001215820") + x + bytes.fromhex("225820") + y


def _attestation_object(authenticator_data: bytes) -> bytes:
    """Return {"fmt": "none", "attStmt": {}, "authData": …} in CBOR (WebAuthn 8.7)."""
    size = len(authenticator_data).to_bytes(2, "big")
    head = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"
    return head + size + authenticator_data
