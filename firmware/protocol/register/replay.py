"""The replay of the register's entries: a pure state machine over bytes.

`Register.apply` takes each entry in the log's order. One that nobody had the right to make is void:
it changes nothing, and `voids` says why, so that a relay that lets one in is seen by every
monitor. Everybody who replays the same entries has the same state: nothing here knows the time.

Whoever only needs the requests that stand calls `forget_ended`: what ended long before is counted
then, and no more (ended.py). A request that stands is judged as strictly as by all, or stricter.
A renewal of what is forgotten, which was made before that ended, counts without being judged.

Who has only a part of the entries (chain.py) replays it by the same code: `skip_to` passes those
that aren't there, and `apply_link` takes a change of which only a part is.

Not here: whether the log is the right one (protocol/tlog), and since when an entry may be
counted on (facts.py).
"""

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from firmware.protocol.encoding import WireError, decode, decode_canonical, sha256_hex, unb64u
from firmware.protocol.passkeys import load_passkey
from firmware.protocol.register.change_rules import (
    admins_by_id,
    check_charter,
    check_charter_signers,
    check_place,
    check_signers,
    is_widening,
    parse_agreement,
)
from firmware.protocol.register.changes import next_chain, parse_body, parse_header
from firmware.protocol.register.counts import Counts
from firmware.protocol.register.entries import (
    EXAMPLE_PREFIX,
    MAX_LEAF_BYTES,
    NO_CHANGES,
    Admin,
    AdminsChanged,
    AgencySuspended,
    AgreementMade,
    ChangeBody,
    ChangeHeader,
    ChangeLeaf,
    ChangeSignature,
    Charter,
    Delays,
    Leaf,
    LeafBody,
    LimitsChanged,
    OfficerLeaf,
    OfficerRevoked,
    ProgramReleased,
    RefusedLeaf,
    RequestLeaf,
    WithdrawnLeaf,
    change_message,
)
from firmware.protocol.register.extract import ChainLink
from firmware.protocol.register.records import (
    KEEPS_NONE,
    AgreementRecord,
    EntryVoid,
    LimitsRecord,
    OfficerRecord,
    ProgramRecord,
    RequestRecord,
    Void,
    sharing,
)
from firmware.protocol.register.rules import (
    RuleBroken,
    check_area,
    check_limits,
    check_renewal,
)
from firmware.protocol.requests import (
    MAX_LIFE_MS,
    MAX_SKEW_MS,
    EvidenceRequest,
    OfficerCertificate,
    SignedCertificate,
    check_certificate,
    check_officers,
    check_withdrawal,
    parse_request,
)

FORGOTTEN_SHARE = 4
"""What ended is forgotten once it is more than a fourth of what is kept: that is made anew then."""
MAX_KEPT_VOIDS = 1000
"""Whoever forgets what ended keeps so many of the newest void entries."""
MAX_WHY_CHARS = 300
"""Of an entry that doesn't parse, the reason can quote the whole; a follower keeps them all."""


class Register:
    """The state of one register after the entries that were applied."""

    def __init__(self, origin: str, *, charter: str | None = None) -> None:
        """`charter` is SHA-256 over the first entry; None where no policy names it."""
        self.origin = origin
        self.charter = charter
        self.size = 0
        self.is_example = origin.startswith(EXAMPLE_PREFIX)
        self.delays = Delays()
        self.limits: list[LimitsRecord] = []
        self.admins: dict[str, Admin] = {}
        self.agreements: dict[str, list[AgreementRecord]] = {}
        self.officers: dict[tuple[str, str], list[OfficerRecord]] = {}
        """By agency and officer id."""
        self.requests: dict[str, RequestRecord] = {}
        """By the digest that grants name."""
        self.programs: list[ProgramRecord] = []
        self.widenings = 0
        """How many changes that widen were taken, the charter among them: what the next follows."""
        self.narrowings = 0
        """How many changes that narrow were taken."""
        self.chain = NO_CHANGES
        """The digest over all changes that were taken."""
        self.changes: list[int] = []
        """The indexes of all changes that were taken."""
        self.refusals: Counter[tuple[str, str]] = Counter()
        """By agency and category."""
        self.voids: list[Void] = []
        self._digests: dict[str, str] = {}
        self._nonces: set[str] = set()
        self._counts = Counts()
        self._forgets_before_ms = 0

    def apply(self, entry: bytes) -> Void | None:
        """Apply the next entry; return a `Void` if it has no effect."""
        index = self.size
        self.size += 1
        try:
            self._prepare_entry(index, entry)()
        except WireError as error:
            void = Void(index=index, why=str(error)[:MAX_WHY_CHARS])
            self.voids.append(void)
            if self._forgets_before_ms:
                del self.voids[:-MAX_KEPT_VOIDS]
            return void
        return None

    def forget_ended(self, now_ms: int) -> None:
        """Forget the requests by which none that stood lately is judged.

        `now_ms` is a time that witnesses signed. What ended at most a longest life before is still
        shown, and was made at most another one before that: what had ended even then has a part in
        counts for ever alone (ended.py).
        """
        before_ms = now_ms - 2 * (MAX_LIFE_MS + MAX_SKEW_MS)
        if before_ms <= self._forgets_before_ms:
            return
        self._forgets_before_ms = before_ms
        kept = [one for one in self.requests.values() if not self._is_forgotten(one.request)]
        if len(self.requests) - len(kept) <= len(kept) // FORGOTTEN_SHARE:
            return
        records, self.requests, self._digests = self.requests, {}, {}
        self._counts = Counts(ended=self._counts.ended)
        for digest, record in records.items():
            self.add_request(digest, record)

    def needed_indexes(self) -> set[int]:
        """Return where the entries are that this state rests on, and that a package may need."""
        officers = (one.index for known in self.officers.values() for one in known)
        requests = (one.index for one in self.requests.values())
        return {*self.changes, *officers, *requests}

    def aged_indexes(self) -> set[int]:
        """Return where the entries are whose age a package shows (R17, R20)."""
        agreements = (one.index for known in self.agreements.values() for one in known)
        officers = (one.index for known in self.officers.values() for one in known)
        return {*agreements, *officers, *(one.index for one in self.limits)}

    def would_refuse(self, entry: bytes) -> str | None:
        """Return why the entry would be void now, without applying it.

        Checks first and changes last, so that trying is the same as applying.
        """
        try:
            self._prepare_entry(self.size, entry)
        except WireError as error:
            return str(error)
        return None

    def next_entry(self, body: LeafBody) -> bytes:
        """Return the entry by which `body` goes into this register next, whether void or not."""
        return Leaf(
            widenings=self.widenings, narrowings=self.narrowings, chain=self.chain, body=body
        ).encode()

    def skip_to(self, index: int) -> None:
        """Pass the entries before `index`: none of them is a change that has effect."""
        if index < self.size:
            raise EntryVoid(f"entry {index} is out of order, or there twice")
        self.size = index

    def apply_link(self, link: ChainLink) -> None:
        """Apply a change of which only a part is here, or raise EntryVoid.

        Without its body, what it does to its own agency stays unknown: nothing of that one's may be
        judged then.
        """
        index, change, signatures = self.size, link.change, link.signatures
        header = self._check_header(change)
        self._check_right(header, change, signatures, is_part=True)
        take = _nothing
        if link.content is not msgspec.UNSET:
            body = parse_body(header, link.content, link.area)
            take = self._prepare_body(index, body, change, signatures, is_part=True)
        elif header.kind == "charter":
            raise EntryVoid("only the first entry is a charter")
        self.size += 1
        self._take_change(index, header, change, signatures)
        take()

    def check_leaf_counts(self, leaf: Leaf) -> None:
        """Raise EntryVoid unless a leaf counts the changes that were taken before it."""
        said = (leaf.widenings, leaf.narrowings)
        if said != (self.widenings, self.narrowings):
            raise EntryVoid(
                f"it counts {leaf.widenings} widening and {leaf.narrowings} narrowing changes "
                f"before it, and there are {self.widenings} and {self.narrowings}"
            )
        if leaf.chain != self.chain:
            raise EntryVoid("it counts other changes before it than there are")

    def request_by_id(self, request_id: str) -> RequestRecord | None:
        """Return a published request by its id."""
        digest = self._digests.get(request_id)
        return None if digest is None else self.requests[digest]

    def _prepare_entry(self, index: int, entry: bytes) -> Callable[[], None]:
        """Check an entry; return what takes it."""
        if index == 0 and self.charter not in (None, sha256_hex(entry)):
            raise EntryVoid("the first entry isn't the charter that the policy names")
        leaf = decode_canonical(Leaf, entry, max_bytes=MAX_LEAF_BYTES)
        self.check_leaf_counts(leaf)
        body = leaf.body
        if index == 0 and not isinstance(body, ChangeLeaf):
            raise EntryVoid("the first entry of a register is its charter")
        match body:
            case ChangeLeaf():
                return self._prepare_change(index, body)
            case OfficerLeaf():
                return self._prepare_officer(index, body)
            case RequestLeaf():
                return self._prepare_request(index, body)
            case WithdrawnLeaf():
                return self._prepare_withdrawal(index, body)
            case RefusedLeaf():
                return self._prepare_refusal(body)

    # --- changes ---

    def _prepare_change(self, index: int, leaf: ChangeLeaf) -> Callable[[], None]:
        header = self._check_header(leaf.change)
        self._check_right(header, leaf.change, leaf.signatures)
        body = parse_body(header, leaf.content, leaf.area)
        take = self._prepare_body(index, body, leaf.change, leaf.signatures)

        def take_once() -> None:
            self._take_change(index, header, leaf.change, leaf.signatures)
            take()

        return take_once

    def _check_header(self, change: str) -> ChangeHeader:
        header = parse_header(change)
        if header.origin != self.origin:
            raise EntryVoid("made for another log")
        if header.nonce in self._nonces:
            raise EntryVoid("this change was made before")
        check_place(header, self.widenings)
        return header

    def _take_change(
        self, index: int, header: ChangeHeader, change: str, signatures: list[ChangeSignature]
    ) -> None:
        self._nonces.add(header.nonce)
        if is_widening(header):
            self.widenings += 1
        else:
            self.narrowings += 1
        self.chain = next_chain(self.chain, index=index, change=change, signatures=signatures)
        self.changes.append(index)

    def _check_right(
        self,
        header: ChangeHeader,
        change: str,
        signatures: list[ChangeSignature],
        *,
        is_part: bool = False,
    ) -> None:
        """Raise EntryVoid unless its signers may make such a change; a charter names them itself.

        Before its body is looked at: what is wrong there is nobody's fault who didn't sign it.
        """
        if header.kind == "charter":
            return
        keys = {admin.id: admin.key for admin in self.admins.values()}
        at_least = 2 if is_widening(header) else 1
        if header.kind == "officer_revoked" and isinstance(header.agency, str):
            newest = self.newest_agreement(header.agency)
            if newest is not None:
                keys[header.agency] = newest.agreement.signing_key
            elif is_part:  # of an agency that isn't seen, the own key isn't known
                signatures = [one for one in signatures if one.by != header.agency]
                at_least = 0
        check_signers(signatures, change_message(change.encode()), keys=keys, at_least=at_least)

    def _prepare_body(
        self,
        index: int,
        body: ChangeBody,
        change: str,
        signatures: list[ChangeSignature],
        *,
        is_part: bool = False,
    ) -> Callable[[], None]:
        match body:
            case Charter():
                return self._prepare_charter(index, body, change, signatures)
            case AdminsChanged():
                admins = admins_by_id(body.admins)
                if set(admins) & set(self.agreements):
                    raise EntryVoid("an agency has an administrator's id")
                return lambda: setattr(self, "admins", admins)
            case LimitsChanged():
                record = LimitsRecord(index=index, limits=body.limits)
                return lambda: self.limits.append(record)
            case AgreementMade():
                return self._prepare_agreement(index, body, is_part=is_part)
            case AgencySuspended():
                return self._prepare_suspension(index, body)
            case OfficerRevoked():
                return self._prepare_revocation(body, is_part=is_part)
            case ProgramReleased():
                program = ProgramRecord(index=index, program=body)
                return lambda: self.programs.append(program)

    def _prepare_charter(
        self, index: int, charter: Charter, change: str, signatures: list[ChangeSignature]
    ) -> Callable[[], None]:
        if index != 0:
            raise EntryVoid("only the first entry is a charter")
        admins = check_charter(charter, is_example=self.is_example)
        check_charter_signers(
            charter, signatures, change_message(change.encode()), origin=self.origin
        )

        def take() -> None:
            self.admins = admins
            self.delays = charter.delays
            self.limits = [LimitsRecord(index=index, limits=charter.limits)]

        return take

    def _prepare_agreement(
        self, index: int, body: AgreementMade, *, is_part: bool
    ) -> Callable[[], None]:
        agreement = parse_agreement(body.signed, origin=self.origin, is_part=is_part)
        if agreement.agency in self.admins:
            raise EntryVoid("an administrator has this id")
        known = self.agreements.get(agreement.agency, [])
        if agreement.version != len(known) + 1:
            raise EntryVoid(f"the next version of this agreement is {len(known) + 1}")
        record = AgreementRecord(index=index, agreement=agreement)
        return lambda: self.agreements.setdefault(agreement.agency, []).append(record)

    def _prepare_suspension(self, index: int, body: AgencySuspended) -> Callable[[], None]:
        known = self.agreements.get(body.agency)
        if known is None:
            raise EntryVoid(f"no agency {body.agency!r} is known")

        def take() -> None:
            for record in known:
                if not record.is_suspended:
                    record.is_suspended, record.suspended_index = True, index

        return take

    def _prepare_revocation(self, body: OfficerRevoked, *, is_part: bool) -> Callable[[], None]:
        known = self.officers.get((body.agency, body.officer_id), [])
        if not known and not is_part:  # of a part, nobody else's certificates are here
            raise EntryVoid("no such officer is certified")

        def take() -> None:
            for record in known:
                record.is_revoked = True

        return take

    # --- agencies and their requests ---

    def newest_agreement(self, agency: str) -> AgreementRecord | None:
        """Return the newest agreement of an agency, suspended or not, counted on yet or not."""
        known = self.agreements.get(agency)
        return known[-1] if known else None

    def _prepare_officer(self, index: int, leaf: OfficerLeaf) -> Callable[[], None]:
        told = decode_canonical(OfficerCertificate, leaf.signed.certificate.encode())
        newest = self.newest_agreement(told.agency)
        if newest is None:
            raise EntryVoid(f"no agency {told.agency!r} is known")
        signing_key = newest.agreement.signing_key
        certificate = check_certificate(leaf.signed, unb64u(signing_key))
        load_passkey(unb64u(certificate.passkey.public_key))
        known = self.officers.get((certificate.agency, certificate.officer_id), [])
        said = (leaf.signed.certificate, signing_key)
        if any((record.signed.certificate, record.signing_key) == said for record in known):
            raise EntryVoid("this certificate is here already")
        record = OfficerRecord(
            index=index, certificate=certificate, signed=leaf.signed, signing_key=signing_key
        )
        key = (certificate.agency, certificate.officer_id)
        return lambda: self.officers.setdefault(key, []).append(record)

    def officer_of(self, signed: SignedCertificate) -> OfficerRecord | None:
        """Return the record of this very certificate, if it was published.

        Another key of the agency's may have certified the same text anew: that is another record.
        """
        try:  # not canonical, it isn't the text of any record below
            told = decode(OfficerCertificate, signed.certificate.encode())
        except WireError:
            return None
        known = self.officers.get((told.agency, told.officer_id), [])
        return next((one for one in reversed(known) if one.is_of(signed)), None)

    def _prepare_request(self, index: int, leaf: RequestLeaf) -> Callable[[], None]:
        signed = leaf.signed
        request = parse_request(signed)
        digest = signed.request_digest
        is_taken = request.id in self._digests or self._counts.ended.ids.count(request.id)
        if digest in self.requests or is_taken:
            raise EntryVoid("this request was published before")
        officer, cosigner = self.officer_of(signed.officer), self.officer_of(signed.cosigner)
        if officer is None or cosigner is None:
            raise EntryVoid("an officer's certificate isn't in the register")
        if officer.is_revoked or cosigner.is_revoked:
            raise EntryVoid("an officer's certificate was revoked")
        check_officers(
            signed,
            request,
            self._certified(signed.officer, officer, officer.signing_key),
            self._certified(signed.cosigner, cosigner, officer.signing_key),
        )
        self._check_agency(request, officer.signing_key)
        limits = self.limits[-1].limits
        check_limits(request, limits)
        renewed, keeps_from = None, KEEPS_NONE
        if not self._renews_forgotten(request):
            renewed = self._renewed(request)
            self._counts.check(request, limits, renewed=renewed)
            keeps_from = self._counts.keeps_from(request, self.limits, renewed=renewed)
        shared = sharing(signed, officer.signed, cosigner.signed)
        record = RequestRecord(index=index, request=request, signed=shared, keeps_from=keeps_from)

        def take() -> None:
            self.add_request(digest, record)
            if renewed is not None:
                renewed.renewed_by = digest

        return take

    def add_request(self, digest: str, record: RequestRecord) -> None:
        """Add a request that was checked: just now, or before the state was saved (saved.py)."""
        if self._is_forgotten(record.request):
            self._counts.end(record.request)
            return
        self.requests[digest] = record
        self._digests[record.request.id] = digest
        self._counts.add(record)

    def _is_forgotten(self, request: EvidenceRequest) -> bool:
        return request.expires_ms < self._forgets_before_ms

    def _renews_forgotten(self, request: EvidenceRequest) -> bool:
        """Return whether a request renews one that is forgotten, and was made before that ended.

        Whether it may is known to nobody who forgot: it counts, so that nobody asks more often, and
        lets nobody ask. One that was made later can't renew it.
        """
        return (
            request.renewed_id is not None
            and request.created_ms < self._forgets_before_ms
            and request.renewed_id not in self._digests
            and self._counts.ended.ids.count(request.renewed_id) > 0
        )

    def _certified(
        self, signed: SignedCertificate, record: OfficerRecord, signing_key: str
    ) -> OfficerCertificate:
        """Return a request's certificate; one that is in the register was checked on its way in."""
        if (signed, signing_key) == (record.signed, record.signing_key):
            return record.certificate
        return check_certificate(signed, unb64u(signing_key))

    def _check_agency(self, request: EvidenceRequest, signing_key: str) -> None:
        known = self.agreements.get(request.agency, [])
        usable = [
            record.agreement
            for record in known
            if not record.is_suspended and record.agreement.signing_key == signing_key
        ]
        if not usable:
            raise EntryVoid("the agency is suspended, or has another key now")
        check_area(request.cells, usable[-1])

    def check_counts(
        self,
        request: EvidenceRequest,
        *,
        limits_from: int,
        pending: Sequence[EvidenceRequest] = (),
    ) -> None:
        """Raise RuleBroken if R4, R13 or R15 would keep such a request out now, signed or not.

        By the limits from that place on: with the newest alone no doorbell would ask for it yet.
        `pending` counts as if it were published before.
        """
        renewed = self._renewed(request)
        for record in self.limits[limits_from:]:
            self._counts.check(request, record.limits, renewed=renewed, pending=pending)

    def _renewed(self, request: EvidenceRequest) -> RequestRecord | None:
        """Return what a request renews, if it does; RuleBroken if it can't."""
        if request.renewed_id is None:
            return None
        renewed = self.request_by_id(request.renewed_id)
        if renewed is None or renewed.is_withdrawn:
            raise RuleBroken("renewal.unknown", "no such request stands")
        if renewed.renewed_by is not None:
            raise RuleBroken("renewal.once", "a request can be renewed once")
        check_renewal(request, renewed.request)
        return renewed

    def _prepare_withdrawal(self, index: int, leaf: WithdrawnLeaf) -> Callable[[], None]:
        officer = self.officer_of(leaf.signed.officer)
        if officer is None or officer.is_revoked:
            raise EntryVoid("the officer's certificate isn't in the register, or was revoked")
        withdrawal = check_withdrawal(leaf.signed, unb64u(officer.signing_key))
        record = self.requests.get(withdrawal.request_digest)
        if record is None or record.request.agency != withdrawal.agency:
            raise EntryVoid("the agency published no such request")
        if record.is_withdrawn:
            raise EntryVoid("this request was withdrawn before")
        renewed_id = record.request.renewed_id
        renewed = None if renewed_id is None else self.request_by_id(renewed_id)

        def take() -> None:
            for one in (record, renewed):
                if one is not None and not one.is_withdrawn:
                    one.withdrawn_index = index

        return take

    def _prepare_refusal(self, leaf: RefusedLeaf) -> Callable[[], None]:
        if leaf.agency not in self.agreements:
            raise EntryVoid(f"no agency {leaf.agency!r} is known")
        key = (leaf.agency, leaf.category)
        return lambda: self.refusals.update([key])


def _nothing() -> None:
    """Take nothing more of a change."""
