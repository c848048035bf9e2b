"""Every parser that a stranger's bytes reach, with what is well formed to begin with.

A parser takes any bytes: it returns, or raises WireError. Whatever else comes out of it is a
finding. What it takes and can write again, it writes as the same bytes: nobody can say one thing
in two ways where a digest or a signature stands for it.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.companion.viewer.mirror.errors import CopyRefused
from firmware.companion.viewer.mirror.owner_key import parse_public_text, public_text
from firmware.companion.viewer.mirror.sealed_copy import MAGIC, read_copy, seal_copy
from firmware.consent.facts import UnverifiedStatement
from firmware.consent.verifier import judge
from firmware.enrolment.keys import FileSigner, load_or_make_keys
from firmware.protocol.custody import CaptureProof, IdentityProof, ReleaseProof, parse_custody_leaf
from firmware.protocol.door_notices import DoorNoticeTold, check_told_notice
from firmware.protocol.encoding import (
    Document,
    WireError,
    b64u,
    decode,
    decode_canonical,
    device_id_of,
    new_id,
)
from firmware.protocol.grants import OwnerKeys, SignedStatement, Statement
from firmware.protocol.media.byte_source import MemorySource
from firmware.protocol.packages import read_header
from firmware.protocol.pairing import (
    ANSWER_TAG,
    PairingAnswer,
    SignedPairingAnswer,
    check_answer,
    parse_qr_text,
    parse_reveal,
)
from firmware.protocol.register.entries import MAX_LEAF_BYTES, Leaf
from firmware.protocol.register.extract import MAX_EXTRACT_BYTES, RegisterExtract
from firmware.protocol.register.register_file import encode_register, parse_register
from firmware.protocol.renewals import RenewalRequest, renewal_message
from firmware.protocol.requests import SignedRequest, parse_request
from firmware.protocol.shards import Elsewhere, open_directory, parse_signers
from firmware.protocol.tlog.checkpoint import parse_checkpoint
from firmware.protocol.tlog.policy import parse_policy
from firmware.protocol.tlog.proof import parse_proof
from firmware.protocol.tlog.signed_note import parse_key, parse_note
from firmware.protocol.tlog.tiles import encode_bundle, parse_bundle
from firmware.protocol.tlog.witness import AddCheckpoint, parse_add_checkpoint
from firmware.protocol.wifi import parse_wifi_code, parse_wifi_text
from relay.errors import RenewalRefused
from relay.fleet.ca import Authority, check_csr, pem_of
from relay.fleet.renewal import check_renewal
from relay.verify.authority_checks import AuthorityReader, check_authority
from relay.verify.errors import NotCheckable
from tests.fakes.consent_world import DEVICE, ConsentWorld, make_world
from tests.fakes.door_notices import NoticeWriter
from tests.fakes.film_parts import STARTED_MS, Film
from tests.fakes.log_town import NOW_MS, Town, make_town
from tests.fakes.media import access_units, in_memory, sound_units
from tests.fakes.pairing_app import PairingApp
from tests.fakes.sealed_package import seal_package
from tests.fakes.signed_clip import SignedShelf
from tests.fakes.wifi_codes import WifiPeople, usual_text
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser
from tests.vectors.make_shards import MADE_MS, shard_vectors

Again = Callable[[bytes], bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parser:
    """What takes bytes from outside."""

    seeds: tuple[bytes, ...]
    parse: Again
    """Returns what it makes of them in bytes again, if that must be the same; None otherwise."""
    refusals: tuple[type[Exception], ...] = (WireError,)

    def try_one(self, data: bytes) -> bool:
        """Tell whether it takes `data`; raise whatever it must not raise."""
        try:
            again = self.parse(data)
        except self.refusals:
            return False
        if again is not None and again != data:
            raise AssertionError("it takes this, and writes it in another way")
        return True


def _canonical(kind: type[Document], max_bytes: int) -> Again:
    return lambda data: decode_canonical(kind, data, max_bytes=max_bytes).encode()


def _request(data: bytes) -> None:
    parse_request(decode(SignedRequest, data))


def _statement(data: bytes) -> bytes:
    signed = decode_canonical(SignedStatement, data)
    decode_canonical(Statement, signed.statement.encode())
    return signed.encode()


def _text(parse: Callable[[str], object]) -> Again:
    """Parse what comes as text: whatever UTF-8 can say."""

    def parsed(data: bytes) -> None:
        parse(data.decode(errors="replace"))

    return parsed


def _judged(world: ConsentWorld) -> Again:
    """The verifier itself: it answers whatever it is given."""

    def judged(data: bytes) -> None:
        judge(UnverifiedStatement(data), world.facts)

    return judged


def _replayed(town: Town) -> Again:
    """The register's replay: it answers whatever entry stands in the log."""
    register = town.register

    def replayed(data: bytes) -> None:
        register.would_refuse(data)

    return replayed


def _authority(town: Town, signed: SignedRequest) -> Again:
    """The verifier's replay of the part of a register that a package brings."""

    def checked(data: bytes) -> None:
        files = {"request.json": signed.encode(), "register.json": data}
        check_authority(AuthorityReader(in_memory(files), town.policy, None))

    return checked


def _policy(data: bytes) -> None:
    parse_policy(data)


def _package() -> bytes:
    key = X25519PrivateKey.generate().public_key().public_bytes_raw()
    return seal_package(
        package_id=new_id(),
        device=DEVICE,
        agency="lakeland-police",
        grant_digest="ab" * 32,
        recipients=[b64u(key)],
        files={"clip-1.mp4": bytes(64)},
    )


def _copy() -> bytes:
    """Return a mirror's copy of a clip that a doorbell signed."""
    with tempfile.TemporaryDirectory() as folder:
        keys = load_or_make_keys(Path(folder))
    clip = SignedShelf().record(keys, seconds=1.0, started_ms=NOW_MS)
    owner = X25519PrivateKey.generate().public_key().public_bytes_raw()
    spki = keys.signer.spki
    return b"".join(
        seal_copy(clip.file.mp4, clip.file.manifest, identity_spki=spki, recipient=owner)
    )


def _read_copy(data: bytes) -> bytes:
    copy = read_copy(MemorySource(data))
    text = copy.header.encode()
    body = copy.body.read(0, copy.body.size_bytes)
    return MAGIC + len(text).to_bytes(4, "big") + text + body


def _mp4(data: bytes) -> None:
    access_units(data)
    sound_units(data)


def _header(data: bytes) -> bytes:
    header, begin = read_header(data)
    text = header.encode()
    return data[:8] + len(text).to_bytes(4, "big") + text + data[begin:]


@cache
def parsers() -> dict[str, Parser]:
    """Return each parser by its name; the seeds are made anew in each process."""
    world, town = make_world(), make_town()
    statement = world.sign(world.statement())
    signed = town.publish()
    release = town.release_proof(device=DEVICE, grant_digest="ab" * 32)
    capture = town.capture_proof(device=DEVICE, manifest_digest="cd" * 32)
    identity = town.identity_proof(device=DEVICE)
    leaves = tuple(town.register_log.entries)
    note = town.register_log.checkpoint
    text = parse_note(note).text
    proof = town.register_log.proof(2).encode()
    film = Film()
    mp4 = film.mp4(film.within(STARTED_MS, film.ended_ms))
    keys = [log.key.vkey.encode() for log in town.policy.logs]
    return {
        "statement": Parser(seeds=(statement,), parse=_statement),
        "verifier": Parser(seeds=(statement,), parse=_judged(world), refusals=()),
        "request": Parser(seeds=(signed.encode(),), parse=_request),
        "register-leaf": Parser(seeds=leaves, parse=_canonical(Leaf, MAX_LEAF_BYTES)),
        "register": Parser(seeds=leaves, parse=_replayed(town), refusals=()),
        "custody-leaf": Parser(
            seeds=tuple(town.custody_log.entries), parse=lambda d: parse_custody_leaf(d).encode()
        ),
        "release-proof": Parser(
            seeds=(release.encode(),), parse=_canonical(ReleaseProof, MAX_EXTRACT_BYTES)
        ),
        "capture-proof": Parser(
            seeds=(capture.encode(),), parse=_canonical(CaptureProof, MAX_EXTRACT_BYTES)
        ),
        "identity-proof": Parser(
            seeds=(identity.encode(),), parse=_canonical(IdentityProof, MAX_EXTRACT_BYTES)
        ),
        "extract": Parser(
            seeds=(town.extract(signed).encode(),),
            parse=_canonical(RegisterExtract, MAX_EXTRACT_BYTES),
        ),
        "authority": Parser(
            seeds=(town.extract(signed).encode(),),
            parse=_authority(town, signed),
            refusals=(WireError, NotCheckable),
        ),
        "register-file": Parser(
            seeds=(encode_register(leaves),),
            parse=lambda data: encode_register(parse_register(data).entries),
        ),
        "note": Parser(seeds=(note,), parse=lambda d: parse_note(d).encode()),
        "note-key": Parser(seeds=tuple(keys), parse=_text(parse_key)),
        "checkpoint": Parser(seeds=(text,), parse=lambda d: parse_checkpoint(d).encode()),
        "add-checkpoint": Parser(
            seeds=(AddCheckpoint(old_size=0, hashes=(), note=note).encode(),),
            parse=lambda d: parse_add_checkpoint(d).encode(),
        ),
        "proof": Parser(seeds=(proof,), parse=lambda d: parse_proof(d).encode()),
        "policy": Parser(seeds=(town.policy_text,), parse=_policy),
        "bundle": Parser(
            seeds=(encode_bundle(leaves),), parse=lambda d: encode_bundle(parse_bundle(d))
        ),
        "package-header": Parser(seeds=(_package(),), parse=_header),
        "mp4": Parser(seeds=(mp4,), parse=_mp4),
        "copy": Parser(seeds=(_copy(),), parse=_read_copy, refusals=(CopyRefused,)),
        "copy-key": Parser(
            seeds=(public_text(bytes(32)).encode(),), parse=_text(parse_public_text)
        ),
        "renewal": _renewal(),
        "shards": _shards(),
        "door-notice": Parser(seeds=(NoticeWriter().tell(DEVICE).encode(),), parse=_door_notice),
        **_pairing_parsers(),
    }


def _shards() -> Parser:
    """A directory of shards as a relay hands it over, held to the keys of a card."""
    vectors = shard_vectors()
    signers = parse_signers(f"{vectors['signers']}\n".encode())
    assert signers is not None

    def parse(data: bytes) -> None:
        answer = decode(Elsewhere, data)
        open_directory(answer.directory.encode(), signers, now_ms=MADE_MS, known_number=0)

    return Parser(seeds=(str(vectors["elsewhere"]).encode(),), parse=parse)


def _door_notice(data: bytes) -> None:
    check_told_notice(decode(DoorNoticeTold, data), DEVICE)


def _renewal() -> Parser:
    signer = FileSigner(ec.generate_private_key(ec.SECP256R1()))
    authority = Authority.create(NOW_MS)
    csr = check_csr(signer.certificate_request(device_id_of(signer.spki)))
    certificate = authority.sign_doorbell(csr, NOW_MS)
    request = RenewalRequest(
        certificate_pem=pem_of(certificate),
        signature=b64u(signer.sign(renewal_message(certificate))),
    )

    def checked(data: bytes) -> None:
        check_renewal(decode(RenewalRequest, data), authority)

    return Parser(seeds=(request.encode(),), parse=checked, refusals=(WireError, RenewalRefused))


def _pairing_parsers() -> dict[str, Parser]:
    """Return those of a pairing's three messages."""
    passkey = SoftPasskey.create(rp_id="localhost", origin="http://localhost").key
    owner = OwnerKeys(name="Åsa", passkey=passkey, browser=SoftBrowser.create().keys)
    app, signer = PairingApp(owner), FileSigner(ec.generate_private_key(ec.SECP256R1()))
    answer = PairingAnswer(
        pairing_id=app.pairing_id,
        commitment=app.offer.code.commitment,
        identity_key=b64u(signer.spki),
        sealing_key=b64u(X25519PrivateKey.generate().public_key().public_bytes_raw()),
        nonce=b64u(bytes(32)),
        policy_digest="ab" * 32,
        register_origin="example.town/register",
        is_recovery=False,
    ).encode()
    signed = SignedPairingAnswer(
        answer=answer.decode(), signature=b64u(signer.sign(ANSWER_TAG + answer))
    )

    def answered(data: bytes) -> bytes:
        found = decode_canonical(SignedPairingAnswer, data)
        check_answer(found, app.offer.code)
        return found.encode()

    return {
        "wifi-code": Parser(seeds=(WifiPeople().code().encode(),), parse=_text(parse_wifi_code)),
        "wifi-text": Parser(seeds=(usual_text().encode(),), parse=_text(parse_wifi_text)),
        "pairing-code": Parser(seeds=(app.offer.code.text.encode(),), parse=_text(parse_qr_text)),
        "pairing-answer": Parser(seeds=(signed.encode(),), parse=answered),
        "pairing-reveal": Parser(seeds=(app.reveal.encode(),), parse=_text(parse_reveal)),
    }
