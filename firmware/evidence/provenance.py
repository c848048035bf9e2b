"""C2PA content credentials on a released MP4, signed with the doorbell's identity key.

The library runs as a program of its own (c2pa_child), which is not trusted: it may ask for one
signature over one thing, a C2PA claim that carries this doorbell's certificate, and what it
returns must be our MP4 with one box added. It never sees a key or a file of the card: both its
files are in memory and have no names.

Where there is no library, or the doorbell's certificate isn't of the kind that C2PA wants, the
MP4 leaves as it is and the package says so. Everything else that goes wrong is ProvenanceError:
tried once more, then nothing leaves.
"""

import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from firmware.errors import ProvenanceError
from firmware.evidence.manifest import Signer
from firmware.evidence.signer_pipe import (
    ABSENT,
    DONE,
    FAILED,
    JOB,
    SIGN,
    SIGNATURE,
    SignerPipe,
    SignerPipeError,
)
from firmware.protocol.encoding import WireError
from firmware.protocol.media.boxes import file_boxes
from firmware.protocol.media.byte_source import MemorySource
from firmware.protocol.released_part import ReleasedPart

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-I", "-B", "-m", "firmware.evidence.c2pa_child")
TIMEOUT_S = 60.0
C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""The usertype of the uuid box that holds content credentials (C2PA 2.x, "BMFF")."""
MAX_ADDED_BYTES = 128 * 1024
MAX_WORDS = 300
SIGNED_BEGIN = b"\x84\x6aSignature1"
"""How each COSE Sig_structure begins (RFC 9052 4.4). Nothing else that this key signs does: our
documents begin with "doorward/", certificate requests with 0x30, TLS with 64 spaces."""
DIGITAL_CAPTURE = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The claim about a file: facts that its reader has anyway, and no personal data."""

    part: ReleasedPart
    manifest_digest: str
    grant_digest: str
    is_trimmed: bool

    def definition(self) -> dict[str, object]:
        """Return the claim as the library's manifest definition."""
        actions = [{"action": "c2pa.created", "digitalSourceType": DIGITAL_CAPTURE}]
        if self.is_trimmed:
            actions.append({"action": "c2pa.trimmed"})
        clip = {
            "clip_id": self.part.clip_id,
            "manifest_digest": self.manifest_digest,
            "grant_digest": self.grant_digest,
            "first_gop": self.part.first_gop,
            "gop_count": self.part.gop_count,
        }
        return {
            "claim_generator_info": [{"name": "Doorward", "version": version("doorward")}],
            "assertions": [
                {"label": "c2pa.actions.v2", "data": {"actions": actions}},
                {"label": "org.doorward.clip", "data": clip},
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Credited:
    """An MP4 and, in the words of `ReleasedPart.provenance`, whether it has credentials."""

    mp4: bytes
    provenance: str


class Provenance:
    """Adds content credentials to one doorbell's released files."""

    def __init__(
        self,
        *,
        signer: Signer,
        certificate_pem: bytes,
        command: Sequence[str] = COMMAND,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._signer = signer
        self._certificate = _fitting(certificate_pem)
        self._command = tuple(command)
        self._timeout_s = timeout_s

    def credit(self, mp4: bytes, claim: Claim) -> Credited:
        """Return the MP4 with its credentials; blocks for about a second. ProvenanceError."""
        if self._certificate is None:
            problem = "the doorbell's certificate can't sign content credentials"
            return Credited(mp4=mp4, provenance=f"none: {problem}")
        try:
            return self._credit(mp4, claim, self._certificate)
        except ProvenanceError as error:
            log.warning("%s; trying once more", error)
        return self._credit(mp4, claim, self._certificate)

    def _credit(self, mp4: bytes, claim: Claim, certificate: x509.Certificate) -> Credited:
        with _in_memory(mp4) as source, _in_memory(b"") as target:
            job = {
                "source": source,
                "target": target,
                "limit_bytes": len(mp4) + MAX_ADDED_BYTES,
                "certificate": certificate.public_bytes(Encoding.PEM).decode(),
                "manifest": claim.definition(),
            }
            absent = self._run(job, certificate, (source, target))
            if absent is not None:
                log.warning("no content credentials: the C2PA library is missing (%s)", absent)
                return Credited(mp4=mp4, provenance="none: the C2PA library isn't installed here")
            signed = _content_of(target, len(mp4) + MAX_ADDED_BYTES)
        _check_one_box_added(mp4, signed)
        return Credited(mp4=signed, provenance="c2pa")

    def _run(
        self, job: dict[str, object], certificate: x509.Certificate, files: tuple[int, int]
    ) -> str | None:
        """Run the program to its end; return its text if the library is absent."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            try:
                program = subprocess.Popen(
                    self._command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=files,
                    env={},
                    cwd="/",
                )
            except OSError as error:
                raise ProvenanceError(f"its program can't be started ({error})") from error
            theirs.close()
            talk = SignerPipe(ours, timeout_s=self._timeout_s)
            try:
                return self._talk(talk, job, certificate)
            except SignerPipeError as error:
                raise ProvenanceError(_why(program, error)) from error
            finally:
                program.kill()
                program.wait()

    def _talk(
        self, talk: SignerPipe, job: dict[str, object], certificate: x509.Certificate
    ) -> str | None:
        talk.send(JOB, json.dumps(job).encode())
        has_signed = False
        while True:
            kind, content = talk.receive()
            if kind == SIGN and not has_signed:
                has_signed = True
                _check_claim(content, certificate)
                talk.send(SIGNATURE, self._signer.sign(content))
            elif kind == DONE and has_signed:
                return None
            elif kind == ABSENT and not has_signed:
                return _words(content)
            elif kind == FAILED:
                raise ProvenanceError(_words(content))
            else:
                raise ProvenanceError("its program sent an unexpected message")


def _fitting(certificate_pem: bytes) -> x509.Certificate | None:
    """Return the certificate if C2PA's profile takes it (C2PA 2.x, "Certificate Profile") and if it
    is for nothing else: the one that connects to the broker signs no credentials."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        extensions = certificate.extensions
        extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, x509.ExtensionNotFound):
        return None
    return certificate if list(usage) == [ExtendedKeyUsageOID.EMAIL_PROTECTION] else None


def _check_claim(data: bytes, certificate: x509.Certificate) -> None:
    """Refuse to sign anything but a C2PA claim: this key also signs manifests and offers."""
    if not data.startswith(SIGNED_BEGIN):
        raise ProvenanceError("its program asks to sign something other than a C2PA claim")
    if certificate.public_bytes(Encoding.DER) not in data:
        raise ProvenanceError("its program asks to sign under another certificate")


def _check_one_box_added(mp4: bytes, signed: bytes) -> None:
    """Return if `signed` is `mp4` with one C2PA box in it, and chunk offsets moved by its size."""
    before, after = list(_boxes(mp4)), list(_boxes(signed))
    added = [box for box in after if box[4:8] == b"uuid" and box[8:24] == C2PA_BOX]
    if len(added) != 1:
        raise ProvenanceError("its program's file holds no content credentials")
    after.remove(added[0])
    moved = [_moved(box, len(added[0])) if box[4:8] == b"moov" else box for box in before]
    if [bytes(box) for box in moved] != [bytes(box) for box in after]:
        raise ProvenanceError("its program changed more than it was asked to; it isn't released")


def _moved(moov: bytes, shift: int) -> bytes:
    """Return the index with each chunk `shift` bytes further on."""
    result = bytearray(moov)
    for begin in _offsets_in(moov, 8, len(moov)):
        (offset,) = struct.unpack_from(">I", result, begin)
        struct.pack_into(">I", result, begin, offset + shift)
    return bytes(result)


def _offsets_in(moov: bytes, begin: int, end: int) -> Iterator[int]:
    """Yield where each chunk offset stands (ISO/IEC 14496-12 8.7.5); ours are of 32 bits."""
    while begin + 8 <= end:
        size, kind = struct.unpack_from(">I4s", moov, begin)
        if kind == b"stco":
            (count,) = struct.unpack_from(">I", moov, begin + 12)
            yield from range(begin + 16, begin + 16 + 4 * count, 4)
        elif kind in (b"trak", b"mdia", b"minf", b"stbl"):
            yield from _offsets_in(moov, begin + 8, begin + size)
        begin += size


def _boxes(data: bytes) -> Iterator[bytes]:
    """Yield a file's own boxes, each with its header."""
    begin = 0
    try:
        for box in file_boxes(MemorySource(data)):
            yield data[begin : box.end]
            begin = box.end
    except WireError as error:
        raise ProvenanceError("its program's file isn't an MP4 of our form") from error


@contextmanager
def _in_memory(data: bytes) -> Iterator[int]:
    """Return an anonymous file in memory, because everything on storage is sealed."""
    descriptor = os.memfd_create("clip", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _content_of(descriptor: int, limit_bytes: int) -> bytes:
    if os.fstat(descriptor).st_size > limit_bytes:
        raise ProvenanceError("its program's file is too large")
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        return file.read(limit_bytes)


def _why(program: "subprocess.Popen[bytes]", error: SignerPipeError) -> str:
    try:
        code = program.wait(timeout=0.5)
    except subprocess.TimeoutExpired:
        return f"its program was stopped: {error}"
    if code < 0:
        return f"its program was killed ({signal.Signals(-code).name})"
    return f"its program failed with code {code}: {error}"


def _words(content: bytes) -> str:
    """Return the program's text, fit for a log and for an owner."""
    text = content.decode("ascii", "replace")
    return "".join(c if c.isprintable() else " " for c in text)[:MAX_WORDS] or "it gave no reason"
