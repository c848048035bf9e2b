"""A town with both its logs, in memory and with real keys: what a relay serves, for any test.

    town = make_town()                  a witnessed register: charter, agency, two officers
    signed = town.publish()             a request that breaks no rule, witnessed now
    town.wind(hours=3)                  time passes; the witnesses cosign again
    facts = town.facts()                what a doorbell knows that followed it all
    with town.served() as log_url: ...  the static files over HTTP

A log's `fork()` is signed by the same keys and may go another way; `pinned` paths are served as
they are. Nothing here checks anything: a test may publish what nobody had the right to.
"""

from __future__ import annotations

import contextlib
import copy
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import httpx2
import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.protocol.commands import ReleaseLogged, SlotLogged
from firmware.protocol.custody import (
    CaptureProof,
    CustodyBody,
    CustodyLeaf,
    IdentityProof,
    ReleaseLeaf,
    ReleaseProof,
    SlotLeaf,
    SlotRecord,
    clip_commitment,
    parse_custody_leaf,
    slot_entry,
)
from firmware.protocol.encoding import b64u, canonical, new_id, sha256_hex
from firmware.protocol.passkeys import challenge
from firmware.protocol.register.chain import ExtractPlaces, make_extract, places_of
from firmware.protocol.register.changes import texts_of
from firmware.protocol.register.entries import (
    Admin,
    AgencySuspended,
    Agreement,
    AgreementMade,
    Change,
    ChangeBody,
    ChangeLeaf,
    ChangeSignature,
    Charter,
    Delays,
    LeafBody,
    Limits,
    OfficerLeaf,
    OfficerRevoked,
    RequestLeaf,
    SignedAgreement,
    Succession,
    Widening,
    WithdrawnLeaf,
    agreement_message,
    change_message,
)
from firmware.protocol.register.extract import EarlierCheckpoint, RegisterExtract
from firmware.protocol.register.facts import RegisterFacts, Stamps, facts_of, place_of_limits
from firmware.protocol.register.replay import Register
from firmware.protocol.requests import (
    COSIGN_TAG,
    REQUEST_TAG,
    WITHDRAW_TAG,
    EvidenceRequest,
    OfficerCertificate,
    OfficerRole,
    SignedCertificate,
    SignedRequest,
    SignedWithdrawal,
    Withdrawal,
    certificate_message,
)
from firmware.protocol.slot_trees import SEED_BYTES, SlotTree
from firmware.protocol.tlog.checkpoint import Checkpoint, sign_checkpoint, sign_cosignature
from firmware.protocol.tlog.merkle import Tree, leaf_hash
from firmware.protocol.tlog.policy import Policy, Witnessed, parse_policy, policy_text
from firmware.protocol.tlog.proof import TlogProof, parse_proof
from firmware.protocol.tlog.signed_note import NoteSigner, parse_note
from firmware.protocol.tlog.tiles import (
    bundles_grown,
    encode_bundle,
    tiles_grown,
)
from tests.fakes.releases import opening_of
from tests.story.authenticator import SoftPasskey

NOW_MS = 1_790_000_000_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
CELL = "891f0000003ffff"
OTHER_CELL = "891f0000007ffff"
WITNESSES = ("north", "east", "south")
EXAMPLE_DELAYS = Delays(
    key_age_ms=2000, agreement_age_ms=3000, freshness_ms=HOUR_MS, slot_ms=2000, batch_ms=1000
)


@dataclass(eq=False)
class TownLog:
    """One log; each `append` is one witnessed checkpoint, and one stamp."""

    signer: NoteSigner
    witnesses: dict[str, NoteSigner]
    policy: Policy
    tree: Tree = field(default_factory=Tree)
    entries: list[bytes] = field(default_factory=list)
    stamps: list[bytes] = field(default_factory=list)
    checkpoint: bytes = b""
    pinned: dict[str, bytes | None] = field(default_factory=dict)
    """What is served at a path instead of what is right; None: nothing."""
    _counting: Register | None = field(default=None, init=False, repr=False)

    @property
    def origin(self) -> str:
        return self.signer.key.name

    @property
    def size(self) -> int:
        return len(self.entries)

    def next_entry(self, body: LeafBody) -> bytes:
        """Return the register's next entry, which counts what came before it."""
        return self._counted().next_entry(body)

    def next_entries(self, bodies: Sequence[LeafBody]) -> list[bytes]:
        """Return the register's next entries, which are to be added together."""
        register, entries = self._counted(), []
        for body in bodies:
            entries.append(register.next_entry(body))
            register.apply(entries[-1])
        return entries

    def _counted(self) -> Register:
        register = self._counting
        if register is None or register.size > self.size:
            register = self._counting = Register(self.origin)
        for entry in self.entries[register.size :]:
            register.apply(entry)
        return register

    def append(self, *entries: bytes, at_ms: int) -> int:
        """Add entries under one checkpoint; return the index of the last."""
        for entry in entries:
            self.entries.append(entry)
            self.tree.append(leaf_hash(entry))
        self.checkpoint = self.note(at_ms=at_ms)
        self.stamps.append(self.checkpoint)
        return self.size - 1

    def cosign(self, *, at_ms: int, by: Sequence[str] = WITNESSES) -> None:
        """Let the witnesses sign the newest checkpoint again."""
        self.checkpoint = self.note(at_ms=at_ms, by=by)

    def note(self, *, at_ms: int, size: int | None = None, by: Sequence[str] = WITNESSES) -> bytes:
        """Return a checkpoint of any size so far, cosigned at that time."""
        size = self.size if size is None else size
        checkpoint = Checkpoint(origin=self.origin, size=size, root=self.tree.root(size))
        note = parse_note(sign_checkpoint(checkpoint, self.signer))
        cosignatures = [
            sign_cosignature(note.text, self.witnesses[name], at_ms // 1000) for name in by
        ]
        return note.with_signatures(*cosignatures).encode()

    def witnessed(self) -> Witnessed:
        """Return the newest checkpoint as the policy has it."""
        return self.policy.check(self.checkpoint, origin=self.origin)

    def proof(self, index: int) -> str:
        """Return the tlog-proof of an entry in the newest checkpoint."""
        hashes = tuple(self.tree.inclusion_proof(index))
        return TlogProof(index=index, hashes=hashes, note=self.checkpoint).encode().decode()

    def fork(self, *, size: int) -> TownLog:
        """Return a log of the same keys that begins with the first `size` entries."""
        return replace(
            self,
            tree=Tree(map(leaf_hash, self.entries[:size])),
            entries=self.entries[:size],
            stamps=[
                stamp
                for stamp in self.stamps
                if size >= self.size
                or self.policy.check(stamp, origin=self.origin).checkpoint.size <= size
            ],
            pinned={},
        )

    def file(self, path: str) -> bytes | None:
        """Return what is served at a path under the log's prefix."""
        if path in self.pinned:
            return self.pinned[path]
        return self._files().get(path)

    def _files(self) -> Mapping[str, bytes]:
        files = {"checkpoint": self.checkpoint, "stamps/count": str(len(self.stamps)).encode()}
        for tile in tiles_grown(0, self.size):
            files[tile.path] = tile.hashes_in(self.tree)
        for bundle in bundles_grown(0, self.size):
            entries = self.entries[bundle.start : bundle.start + bundle.width]
            files[bundle.path] = encode_bundle(entries)
        for bundle in bundles_grown(0, len(self.stamps)):
            stamps = self.stamps[bundle.start : bundle.start + bundle.width]
            files[bundle.path.replace("tile/entries/", "stamps/")] = encode_bundle(stamps)
        return files


@dataclass(frozen=True, kw_only=True)
class TownOfficer:
    """One officer with a real passkey, and the certificate."""

    id: str
    name: str
    passkey: SoftPasskey
    certificate: SignedCertificate


@dataclass(eq=False, kw_only=True)
class Town:
    """A town: its logs, its administrators, its agency."""

    name: str
    register_log: TownLog
    custody_log: TownLog
    policy: Policy
    policy_text: bytes
    admin_keys: dict[str, ec.EllipticCurvePrivateKey]
    agency_key: ec.EllipticCurvePrivateKey
    sealing_private_keys: list[bytes]
    """The agency's raw X25519 keys, which open evidence."""
    now_ms: int
    texts: dict[str, bytes] = field(default_factory=dict)
    """What is served below agreements/, beside the logs, by SHA-256."""
    agreement: Agreement = None  # type: ignore[assignment] # made by `make_town`
    agreement_leaf: ChangeLeaf = None  # type: ignore[assignment]
    officer: TownOfficer = None  # type: ignore[assignment]
    cosigner: TownOfficer = None  # type: ignore[assignment]

    # --- time ---

    def wind(self, *, ms: int = 0, hours: float = 0, days: float = 0) -> None:
        """Let time pass, and the witnesses cosign both logs anew."""
        self.now_ms += ms + round(hours * HOUR_MS) + round(days * DAY_MS)
        self.cosign()

    def cosign(self) -> None:
        """Let the witnesses cosign both logs now."""
        for log in (self.register_log, self.custody_log):
            log.cosign(at_ms=self.now_ms)

    # --- what a follower knows ---

    @property
    def register(self) -> Register:
        """The register's state, replayed from its entries."""
        origin = self.register_log.origin
        register = Register(origin, charter=self.policy.charter_of(origin))
        for entry in self.register_log.entries:
            register.apply(entry)
        return register

    @property
    def stamps(self) -> Stamps:
        """Since when witnesses have seen each entry."""
        stamps = Stamps()
        for note in self.register_log.stamps:
            witnessed = self.policy.check(note, origin=self.register_log.origin)
            stamps.add(witnessed.checkpoint.size, witnessed.aged_ms)
        return stamps

    def facts(self) -> RegisterFacts:
        """What a doorbell knows that has just read the register."""
        fresh_ms = self.register_log.witnessed().fresh_ms
        return facts_of(self.register, self.stamps, fresh_ms=fresh_ms)

    # --- the register's entries ---

    def append(self, *bodies: LeafBody) -> int:
        """Publish entries under one checkpoint, witnessed now; return the last one's index."""
        entries = self.register_log.next_entries(bodies)
        index = self.register_log.append(*entries, at_ms=self.now_ms)
        self.custody_log.cosign(at_ms=self.now_ms)
        return index

    def change(
        self,
        body: ChangeBody,
        *,
        by: Sequence[str] = ("ann", "bob"),
        follows: int | None = None,
    ) -> ChangeLeaf:
        """Return the next change, signed by administrators, or by the agency's own key."""
        is_placed = isinstance(body, Widening | Charter)
        if is_placed and follows is None:
            follows = self.register.widenings
        return self.sign_change(
            Change(
                origin=self.register_log.origin,
                nonce=new_id(),
                follows=msgspec.UNSET if follows is None else follows,
                body=body,
            ),
            by=by,
        )

    def sign_change(self, change: Change, *, by: Sequence[str] = ("ann", "bob")) -> ChangeLeaf:
        """Return a change with these signatures."""
        texts = texts_of(change)
        keys = {**self.admin_keys, "lakeland-police": self.agency_key}
        message = change_message(texts.change.encode())
        return texts.signed(
            [ChangeSignature(by=one, signature=sign_p256(keys[one], message)) for one in by]
        )

    def next_entry(self, body: LeafBody) -> bytes:
        """Return the entry that `body` would be now, without publishing it."""
        return self.register_log.next_entry(body)

    def admin(self, name: str) -> Admin:
        """Return what the register says of an administrator."""
        return Admin(id=name, name=name.title(), key=spki_of(self.admin_keys[name]))

    def new_admin(self, name: str) -> Admin:
        """Make the key of another administrator, without publishing it."""
        self.admin_keys[name] = self.new_key()
        return self.admin(name)

    def new_key(self) -> ec.EllipticCurvePrivateKey:
        """Return a fresh P-256 key."""
        return ec.generate_private_key(ec.SECP256R1())

    def sign_agreement(self, agreement: Agreement) -> AgreementMade:
        """Return an agreement with the agency's signature."""
        text = agreement.terms.encode()
        return AgreementMade(
            signed=SignedAgreement(
                agreement=text.decode(),
                signature=sign_p256(self.agency_key, agreement_message(text)),
                area=agreement.area.encode().decode(),
            )
        )

    def make_agreement(self, **changes: Any) -> Agreement:
        """Publish the next version of the agency's agreement."""
        changes = {"version": self.agreement.version + 1, **changes}
        self.agreement = msgspec.structs.replace(self.agreement, **changes)
        self.publish_agreement()
        return self.agreement

    def publish_agreement(self) -> None:
        """Publish the agreement as it is."""
        self.agreement_leaf = self.change(self.sign_agreement(self.agreement))
        self.append(self.agreement_leaf)

    def certify(
        self, name: str, *, role: OfficerRole = "officer", days: float = 365
    ) -> TownOfficer:
        """Certify a new officer, without publishing it."""
        passkey = SoftPasskey.create(rp_id="relay.example", origin="https://relay.example")
        certificate = OfficerCertificate(
            agency=self.agreement.agency,
            officer_id=new_id(),
            name=name,
            role=role,
            passkey=passkey.key,
            not_after_ms=self.now_ms + round(days * DAY_MS),
        )
        text = certificate.encode()
        signed = SignedCertificate(
            certificate=text.decode(),
            signature=sign_p256(self.agency_key, certificate_message(text)),
        )
        return TownOfficer(
            id=certificate.officer_id, name=name, passkey=passkey, certificate=signed
        )

    def add_officer(self, name: str, *, role: OfficerRole = "officer") -> TownOfficer:
        """Certify a new officer, and publish it."""
        officer = self.certify(name, role=role)
        self.append(OfficerLeaf(signed=officer.certificate))
        return officer

    def request(self, **changes: Any) -> EvidenceRequest:
        """Return a request that breaks no rule, with `changes`."""
        right = EvidenceRequest(
            id=new_id(),
            agency=self.agreement.agency,
            officer_id=self.officer.id,
            officer_name=self.officer.name,
            cosigner_id=self.cosigner.id,
            cosigner_name=self.cosigner.name,
            contact="desk@lakeland.example",
            case_number="LK-2026/0117",
            incident_type="burglary",
            text="A garage was broken into.",
            cells=[CELL],
            from_ms=self.now_ms - 90 * MINUTE_MS,
            to_ms=self.now_ms - 30 * MINUTE_MS,
            retention_days=90,
            onward_sharing="none",
            created_ms=self.now_ms - MINUTE_MS,
            expires_ms=self.now_ms + DAY_MS,
        )
        return msgspec.structs.replace(right, **changes)

    def sign(
        self,
        request: EvidenceRequest,
        *,
        officer: TownOfficer | None = None,
        cosigner: TownOfficer | None = None,
    ) -> SignedRequest:
        """Return the request with both officers' signatures."""
        officer, cosigner = officer or self.officer, cosigner or self.cosigner
        text = request.encode()
        return SignedRequest(
            request=text.decode(),
            assertion=officer.passkey.sign(challenge(REQUEST_TAG, text)),
            officer=officer.certificate,
            cosignature=cosigner.passkey.sign(challenge(COSIGN_TAG, text)),
            cosigner=cosigner.certificate,
        )

    def publish(self, request: EvidenceRequest | None = None, **changes: Any) -> SignedRequest:
        """Publish a request, by default a right one with `changes`, witnessed now."""
        signed = self.sign(request or self.request(**changes))
        self.append(RequestLeaf(signed=signed))
        return signed

    def renew(self, signed: SignedRequest, **changes: Any) -> SignedRequest:
        """Publish the renewal of a request."""
        old = msgspec.json.decode(signed.request, type=EvidenceRequest)
        new = msgspec.structs.replace(
            old,
            id=new_id(),
            renews=old.id,
            created_ms=self.now_ms,
            expires_ms=self.now_ms + DAY_MS,
        )
        return self.publish(msgspec.structs.replace(new, **changes))

    def withdraw(self, signed: SignedRequest) -> None:
        """Publish that the agency takes a request back."""
        text = Withdrawal(
            request_digest=signed.request_digest,
            agency=self.agreement.agency,
            officer_id=self.officer.id,
        ).encode()
        withdrawal = SignedWithdrawal(
            withdrawal=text.decode(),
            assertion=self.officer.passkey.sign(challenge(WITHDRAW_TAG, text)),
            officer=self.officer.certificate,
        )
        self.append(WithdrawnLeaf(signed=withdrawal))

    def revoke(self, officer: TownOfficer, *, by: str = "lakeland-police") -> None:
        """Publish that an officer's certificates no longer count."""
        body = OfficerRevoked(agency=self.agreement.agency, officer_id=officer.id)
        self.append(self.change(body, by=(by,)))

    def suspend(self) -> None:
        """Publish that the agency may ask for nothing any more."""
        self.append(self.change(AgencySuspended(agency=self.agreement.agency), by=("ann",)))

    def extract(self, signed: SignedRequest) -> RegisterExtract:
        """Return what a package carries of the register for a request."""
        log, places = self.register_log, self.places(signed)
        return make_extract(
            places,
            dict(enumerate(log.entries)),
            prove=log.proof,
            ages=[self.earlier(index) for index in sorted(places.aged)],
        )

    def places(self, signed: SignedRequest) -> ExtractPlaces:
        """Return where the entries of a request are, also if they are void."""
        register = self.register
        record = register.requests.get(signed.request_digest)
        if record is not None:
            agreement = register.agreements[record.request.agency][-1].index
            limits = register.limits[place_of_limits(register, self.stamps, self.now_ms)].index
            return places_of(register, record, agreement=agreement, limits=limits)
        agreement = self.index_of(self.agreement_leaf)
        return ExtractPlaces(
            agency=self.agreement.agency,
            agreement=agreement,
            officer=self.index_of(OfficerLeaf(signed=signed.officer)),
            cosigner=self.index_of(OfficerLeaf(signed=signed.cosigner)),
            request=self.index_of(RequestLeaf(signed=signed)),
            renewed=(),
            first_agreement=agreement,
            limits=0,
            last=self.register_log.size - 1,
            changes=tuple(register.changes[1:]),
            areas=frozenset({agreement}),
        )

    def index_of(self, body: LeafBody) -> int:
        """Return where an entry with this body is first."""
        begin = b'{"body":' + canonical(msgspec.to_builtins(body)) + b',"chain":'
        return next(i for i, one in enumerate(self.register_log.entries) if one.startswith(begin))

    def earlier(self, index: int) -> EarlierCheckpoint:
        """Return the first checkpoint that held an entry, with its proof."""
        log = self.register_log
        for note in log.stamps:
            size = self.policy.check(note, origin=log.origin).checkpoint.size
            if size > index:
                hashes = [b64u(one) for one in log.tree.consistency_proof(size)]
                return EarlierCheckpoint(note=note.decode(), hashes=hashes)
        raise AssertionError(f"no stamp holds entry {index}")

    # --- the custody log's entries ---

    def log_custody(self, body: CustodyBody) -> str:
        """Log an entry, witnessed now; return its proof."""
        index = self.custody_log.append(CustodyLeaf(body=body).encode(), at_ms=self.now_ms)
        return self.custody_log.proof(index)

    def log_release(self, commitment: str) -> ReleaseLogged:
        """Log a release, as the relay does."""
        proof = self.log_custody(ReleaseLeaf(commitment=commitment))
        return ReleaseLogged(commitment=commitment, proof=proof)

    def log_slot(self, slot: int, commitments: Sequence[str]) -> dict[str, SlotLogged]:
        """Log a slot with these doorbells' commitments; return what each of them is told."""
        tree = SlotTree(commitments, secrets.token_bytes(SEED_BYTES))
        entry = slot_entry(slot, tree.root())
        proof = self.custody_log.proof(self.custody_log.append(entry, at_ms=self.now_ms))
        return {
            commitment: SlotLogged(
                slot=slot,
                index=tree.index(commitment),
                hashes=tree.path(commitment),
                proof=proof,
            )
            for commitment in commitments
        }

    def log_due_slots(self) -> None:
        """Log every slot up to now as a relay does that was never away, five at a time."""
        slot_ms = self.register.delays.slot_ms
        bodies = [parse_custody_leaf(entry).body for entry in self.custody_log.entries]
        last = max(body.slot for body in bodies if isinstance(body, SlotLeaf))
        over = self.now_ms // slot_ms
        for first in range(last + 1, over, 5):
            slots = range(first, min(first + 5, over))
            entries = [slot_entry(slot, secrets.token_bytes(32)) for slot in slots]
            self.custody_log.append(*entries, at_ms=slots.stop * slot_ms)
        self.cosign()

    def release_proof(self, **released: str) -> ReleaseProof:
        """Commit to a release and log it, as doorbell and relay do together (`opening_of`)."""
        opening = opening_of(**{"agency": self.agreement.agency, **released})
        return ReleaseProof(
            record=opening.record,
            salt_g=opening.salt_g,
            salt_d=opening.salt_d,
            proof=self.log_release(opening.record.digest()).proof,
        )

    def capture_proof(
        self, *, device: str, manifest_digest: str, slot: int | None = None
    ) -> CaptureProof:
        """Commit to a clip in a slot and log it, as doorbell and relay do together."""
        slot = self.now_ms // self.register.delays.slot_ms if slot is None else slot
        clip_salt = secrets.token_bytes(32)
        record = SlotRecord(
            device=device,
            slot=slot,
            salt=b64u(secrets.token_bytes(32)),
            clips=[clip_commitment(manifest_digest, clip_salt)],
        )
        logged = self.log_slot(slot, [record.digest()])[record.digest()]
        return CaptureProof(
            clip_salt=b64u(clip_salt),
            record=record,
            index=logged.index,
            hashes=logged.hashes,
            proof=logged.proof,
        )

    def identity_proof(self, *, device: str, at_ms: int | None = None) -> IdentityProof:
        """Log a slot of a doorbell, and return what proves that it was there at that time."""
        at_ms = self.now_ms if at_ms is None else at_ms
        slot = at_ms // self.register.delays.slot_ms
        proof = self.capture_proof(device=device, manifest_digest="cd" * 32, slot=slot)
        logged = replace(parse_proof(proof.proof.encode()), note=self.custody_log.note(at_ms=at_ms))
        return IdentityProof(
            record=proof.record,
            index=proof.index,
            hashes=proof.hashes,
            proof=logged.encode().decode(),
        )

    # --- what the relay serves ---

    def file(self, path: str) -> bytes | None:
        """Return what is served at e.g. "register/checkpoint"."""
        name, _, rest = path.partition("/")
        logs = {"register": self.register_log, "custody": self.custody_log}
        return logs[name].file(rest) if name in logs else None

    def page(self, path: str) -> bytes | None:
        """Return what the relay itself serves at e.g. "agreements/SHA256"."""
        name, _, rest = path.partition("/")
        return self.texts.get(rest) if name == "agreements" else None

    def transport(self, *, prefix: str = "/log/") -> httpx2.MockTransport:
        """Return a client's transport that gives the files without a network."""

        def answer(request: httpx2.Request) -> httpx2.Response:
            data = self.file(request.url.path.removeprefix(prefix))
            return httpx2.Response(404) if data is None else answer_with(data, request)

        return httpx2.MockTransport(answer)

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        """Serve the files over HTTP until the block ends; gives the `log_url`."""
        town = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.removeprefix("/log/")
                data = town.page(path[1:]) if path == self.path else town.file(path)
                self.send_response(404 if data is None else 200)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/log"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def copy(self) -> Town:
        """Return a town of the same keys that goes its own way from here on."""
        other = copy.copy(self)
        other.register_log = self.register_log.fork(size=self.register_log.size)
        other.custody_log = self.custody_log.fork(size=self.custody_log.size)
        other.texts = dict(self.texts)
        other.admin_keys = dict(self.admin_keys)
        return other


def make_town(
    name: str = "lakeland",
    *,
    kind: Literal["real", "example"] = "real",
    now_ms: int = NOW_MS,
    age_days: float = 10,
    delays: Delays | None = None,
    limits: Limits | None = None,
    cells: Sequence[str] = (CELL, OTHER_CELL),
    admin_keys: Mapping[str, ec.EllipticCurvePrivateKey] | None = None,
    succeeds: Succession | msgspec.UnsetType = msgspec.UNSET,
) -> Town:
    """Make a town whose agency may ask: all of it was published `age_days` ago.

    A "real" one has the rules' own delays; an "example" is an invented town with short ones. One
    whose register succeeds another's has that one's administrators, by their keys.
    """
    if kind == "example":
        name, delays = f"example.{name}", delays or EXAMPLE_DELAYS
    signers = {
        log: NoteSigner.generate(f"{name}/{log}", "ed25519") for log in ("register", "custody")
    }
    witnesses = {
        one: NoteSigner.generate(f"witness.{one}.example", "cosignature") for one in WITNESSES
    }
    trusted: dict[str, Any] = {
        "logs": [signer.key for signer in signers.values()],
        "witnesses": {one: signer.key for one, signer in witnesses.items()},
        "threshold": 2,
    }
    text = policy_text(**trusted)
    policy = parse_policy(text)
    sealing = [X25519PrivateKey.generate() for _ in range(2)]
    town = Town(
        name=name,
        register_log=TownLog(signers["register"], witnesses, policy),
        custody_log=TownLog(signers["custody"], witnesses, policy),
        policy=policy,
        policy_text=text,
        admin_keys=dict(
            admin_keys or {one: ec.generate_private_key(ec.SECP256R1()) for one in ("ann", "bob")}
        ),
        agency_key=ec.generate_private_key(ec.SECP256R1()),
        sealing_private_keys=[key.private_bytes_raw() for key in sealing],
        now_ms=now_ms - round(age_days * DAY_MS),
    )
    charter = Charter(
        is_example=kind == "example",
        admins=[town.admin(one) for one in town.admin_keys],
        delays=delays or Delays(),
        limits=limits or Limits(),
        succeeds=succeeds,
    )
    town.append(town.change(charter))
    origin, first = town.register_log.origin, sha256_hex(town.register_log.entries[0])
    town.policy_text = policy_text(**trusted, charters={origin: first})
    town.policy = parse_policy(town.policy_text)
    town.register_log.policy = town.custody_log.policy = town.policy
    town.log_slot(town.now_ms // charter.delays.slot_ms - 1, [])
    agreed = b"The agreement."
    town.texts[sha256_hex(agreed)] = agreed
    town.agreement = Agreement(
        origin=town.register_log.origin,
        agency="lakeland-police",
        name="Lakeland Police",
        version=1,
        text_sha256=sha256_hex(agreed),
        vote="none",
        gifts="none",
        promotion="none",
        begins_ms=town.now_ms,
        ends_ms=town.now_ms + 360 * DAY_MS,
        signing_key=spki_of(town.agency_key),
        sealing_keys=[b64u(key.public_key().public_bytes_raw()) for key in sealing],
        cells=list(cells),
    )
    town.publish_agreement()
    town.officer = town.add_officer("Officer Lund")
    town.cosigner = town.add_officer("Sergeant Berg", role="approver")
    town.wind(ms=now_ms - town.now_ms)
    return town


def answer_with(data: bytes, request: httpx2.Request) -> httpx2.Response:
    """Return an answer with a file, or with its end where that is asked for."""
    wanted = request.headers.get("range")
    if wanted is None:
        return httpx2.Response(200, stream=httpx2.ByteStream(data))
    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
    if start >= len(data):
        return httpx2.Response(416)
    headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
    return httpx2.Response(206, headers=headers, stream=httpx2.ByteStream(data[start:]))


def spki_of(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a key's public half as base64url of SubjectPublicKeyInfo."""
    return b64u(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def sign_p256(key: ec.EllipticCurvePrivateKey, message: bytes) -> str:
    """Return an ECDSA signature with SHA-256, in DER, as base64url."""
    return b64u(key.sign(message, ec.ECDSA(hashes.SHA256())))
