"""What the register's entries add up to: a pure state machine over bytes.

`Register.apply` takes each entry in the log's order. One that nobody had the right to make is void:
it changes nothing, and `voids` says why, so that a relay that lets one in is seen by every
monitor. Everybody who replays the same entries has the same state: nothing here knows the time.

Not here: whether the log is the right one (protocol/tlog), and since when an entry may be
counted on (facts.py).
"""

from bisect import bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from firmware.protocol.encoding import WireError, decode_canonical, unb64u
from firmware.protocol.passkeys import load_p256, load_passkey, verify_p256
from firmware.protocol.register.entries import (
    EXAMPLE_PREFIX,
    MAX_AGREEMENT_MS,
    MAX_LEAF_BYTES,
    Admin,
    AdminsChanged,
    AgencySuspended,
    Agreement,
    AgreementMade,
    Change,
    ChangeBody,
    ChangeLeaf,
    ChangeSignature,
    Charter,
    Delays,
    Leaf,
    Limits,
    LimitsChanged,
    OfficerLeaf,
    OfficerRevoked,
    ProgramReleased,
    RefusedLeaf,
    RequestLeaf,
    WithdrawnLeaf,
    agreement_message,
    change_message,
)
from firmware.protocol.register.rules import (
    RuleBroken,
    check_area,
    check_limits,
    check_renewal,
)
from firmware.protocol.requests import (
    EvidenceRequest,
    OfficerCertificate,
    SignedCertificate,
    SignedRequest,
    check_certificate,
    check_signatures,
    check_withdrawal,
    parse_request,
)

SEALING_KEY_BYTES = 32


class EntryVoid(WireError):
    """Nobody had the right to make this entry; it has no effect."""


@dataclass(slots=True, kw_only=True)
class AgreementRecord:
    """One agreement of an agency, and where it stands in the log."""

    index: int
    agreement: Agreement
    is_suspended: bool = False


@dataclass(slots=True, kw_only=True)
class OfficerRecord:
    """One certificate of an officer; `signing_key` (base64url) is the agency's that made it."""

    index: int
    certificate: OfficerCertificate
    signed: SignedCertificate
    signing_key: str
    is_revoked: bool = False


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One published request."""

    index: int
    request: EvidenceRequest
    signed: SignedRequest
    is_withdrawn: bool = False
    renewed_by: str | None = None


@dataclass(slots=True, kw_only=True)
class LimitsRecord:
    """Limits, and since which entry."""

    index: int
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Void:
    """An entry without effect."""

    index: int
    why: str


@dataclass(slots=True)
class _Counts:
    """What R4 counts, in order, so that a long register is replayed in nearly linear time.

    `by_officer` and `emergencies` go by when a request expires, `by_cell` by when it was made.
    """

    by_case: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_officer: dict[tuple[str, str], list[RequestRecord]] = field(
        default_factory=lambda: defaultdict(list)
    )
    by_cell: dict[tuple[str, str], list[RequestRecord]] = field(
        default_factory=lambda: defaultdict(list)
    )
    emergencies: dict[str, list[RequestRecord]] = field(default_factory=lambda: defaultdict(list))

    def add(self, record: RequestRecord) -> None:
        request = record.request
        if request.renewed_id is None:
            self.by_case[request.agency, request.case_number] += 1
        insort(self.by_officer[request.agency, request.officer_id], record, key=_expires_ms)
        for cell in request.cells:
            insort(self.by_cell[request.agency, cell], record, key=_created_ms)
        if request.is_emergency:
            insort(self.emergencies[request.agency], record, key=_expires_ms)


class Register:
    """The state of one register after the entries that were applied."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
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
        self.programs: list[ProgramReleased] = []
        self.refusals: Counter[tuple[str, str]] = Counter()
        """By agency and category."""
        self.voids: list[Void] = []
        self._digests: dict[str, str] = {}
        self._nonces: set[str] = set()
        self._counts = _Counts()

    def apply(self, entry: bytes) -> Void | None:
        """Take the next entry; tell if it is void."""
        index = self.size
        self.size += 1
        try:
            self._apply(index, decode_canonical(Leaf, entry, max_bytes=MAX_LEAF_BYTES))
        except WireError as error:
            void = Void(index=index, why=str(error))
            self.voids.append(void)
            return void
        return None

    def apply_all(self, entries: Iterable[bytes]) -> None:
        """Take the next entries."""
        for entry in entries:
            self.apply(entry)

    def would_refuse(self, entry: bytes) -> str | None:
        """Tell why the entry would be void now, without taking it.

        Checks first and changes last, so that trying is the same as applying.
        """
        try:
            self._prepare(self.size, decode_canonical(Leaf, entry, max_bytes=MAX_LEAF_BYTES))
        except WireError as error:
            return str(error)
        return None

    def request_by_id(self, request_id: str) -> RequestRecord | None:
        """Return a published request by its id."""
        digest = self._digests.get(request_id)
        return None if digest is None else self.requests[digest]

    def _apply(self, index: int, leaf: Leaf) -> None:
        self._prepare(index, leaf)()

    def _prepare(self, index: int, leaf: Leaf) -> Callable[[], None]:
        """Check a leaf; return what takes it."""
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
                return self._prepare_withdrawal(body)
            case RefusedLeaf():
                return self._prepare_refusal(body)

    # --- changes ---

    def _prepare_change(self, index: int, leaf: ChangeLeaf) -> Callable[[], None]:
        text = leaf.change.encode()
        change = decode_canonical(Change, text, max_bytes=MAX_LEAF_BYTES)
        if change.origin != self.origin:
            raise EntryVoid("made for another log")
        if change.nonce in self._nonces:
            raise EntryVoid("this change was made before")
        message = change_message(text)
        take = self._prepare_body(index, change.body, leaf.signatures, message)

        def take_once() -> None:
            self._nonces.add(change.nonce)
            take()

        return take_once

    def _prepare_body(
        self, index: int, body: ChangeBody, signatures: list[ChangeSignature], message: bytes
    ) -> Callable[[], None]:
        match body:
            case Charter():
                return self._prepare_charter(index, body, signatures, message)
            case AdminsChanged():
                self._check_admins(signatures, message, at_least=2)
                admins = _admins_by_id(body.admins)
                if set(admins) & set(self.agreements):
                    raise EntryVoid("an agency has an administrator's id")
                return lambda: setattr(self, "admins", admins)
            case LimitsChanged():
                self._check_admins(signatures, message, at_least=2)
                record = LimitsRecord(index=index, limits=body.limits)
                return lambda: self.limits.append(record)
            case AgreementMade():
                self._check_admins(signatures, message, at_least=2)
                return self._prepare_agreement(index, body)
            case AgencySuspended():
                self._check_admins(signatures, message, at_least=1)
                return self._prepare_suspension(body)
            case OfficerRevoked():
                return self._prepare_revocation(body, signatures, message)
            case ProgramReleased():
                self._check_admins(signatures, message, at_least=2)
                return lambda: self.programs.append(body)

    def _prepare_charter(
        self, index: int, charter: Charter, signatures: list[ChangeSignature], message: bytes
    ) -> Callable[[], None]:
        if index != 0:
            raise EntryVoid("only the first entry is a charter")
        if charter.is_example != self.is_example:
            raise EntryVoid(
                f'a log is an example if, and only if, its name begins with "{EXAMPLE_PREFIX}"'
            )
        if not self.is_example and not _keeps_the_rules(charter):
            raise EntryVoid("shorter delays or looser limits than the rules allow")
        admins = _admins_by_id(charter.admins)
        _check_signers(signatures, message, keys={a.id: a.key for a in charter.admins}, at_least=2)

        def take() -> None:
            self.admins = admins
            self.delays = charter.delays
            self.limits = [LimitsRecord(index=index, limits=charter.limits)]

        return take

    def _prepare_agreement(self, index: int, body: AgreementMade) -> Callable[[], None]:
        text = body.signed.agreement.encode()
        agreement = decode_canonical(Agreement, text)
        key = unb64u(agreement.signing_key)
        load_p256(key)
        if not verify_p256(key, unb64u(body.signed.signature), agreement_message(text)):
            raise EntryVoid("the agency didn't sign its agreement")
        if agreement.origin != self.origin:
            raise EntryVoid("the agreement was made for another log")
        if any(len(unb64u(one)) != SEALING_KEY_BYTES for one in agreement.sealing_keys):
            raise EntryVoid(f"a sealing key is {SEALING_KEY_BYTES} bytes (X25519)")
        if not 0 < agreement.ends_ms - agreement.begins_ms <= MAX_AGREEMENT_MS:
            raise EntryVoid("an agreement holds for twelve months at most")
        if agreement.agency in self.admins:
            raise EntryVoid("an administrator has this id")
        known = self.agreements.get(agreement.agency, [])
        if agreement.version != len(known) + 1:
            raise EntryVoid(f"the next version of this agreement is {len(known) + 1}")
        record = AgreementRecord(index=index, agreement=agreement)
        return lambda: self.agreements.setdefault(agreement.agency, []).append(record)

    def _prepare_suspension(self, body: AgencySuspended) -> Callable[[], None]:
        known = self.agreements.get(body.agency)
        if known is None:
            raise EntryVoid(f"no agency {body.agency!r} is known")

        def take() -> None:
            for record in known:
                record.is_suspended = True

        return take

    def _prepare_revocation(
        self, body: OfficerRevoked, signatures: list[ChangeSignature], message: bytes
    ) -> Callable[[], None]:
        keys = {admin.id: admin.key for admin in self.admins.values()}
        newest = self.newest_agreement(body.agency)
        if newest is not None:
            keys[body.agency] = newest.agreement.signing_key
        _check_signers(signatures, message, keys=keys, at_least=1)
        known = self.officers.get((body.agency, body.officer_id))
        if known is None:
            raise EntryVoid("no such officer is certified")

        def take() -> None:
            for record in known:
                record.is_revoked = True

        return take

    def _check_admins(
        self, signatures: list[ChangeSignature], message: bytes, *, at_least: int
    ) -> None:
        keys = {admin.id: admin.key for admin in self.admins.values()}
        _check_signers(signatures, message, keys=keys, at_least=at_least)

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
        if any(record.signed.certificate == leaf.signed.certificate for record in known):
            raise EntryVoid("this certificate is here already")
        record = OfficerRecord(
            index=index, certificate=certificate, signed=leaf.signed, signing_key=signing_key
        )
        key = (certificate.agency, certificate.officer_id)
        return lambda: self.officers.setdefault(key, []).append(record)

    def officer_of(self, signed: SignedCertificate) -> OfficerRecord | None:
        """Return the record of this very certificate, if it was published."""
        try:
            told = decode_canonical(OfficerCertificate, signed.certificate.encode())
        except WireError:
            return None
        known = self.officers.get((told.agency, told.officer_id), [])
        return next((one for one in known if one.signed.certificate == signed.certificate), None)

    def _prepare_request(self, index: int, leaf: RequestLeaf) -> Callable[[], None]:
        signed = leaf.signed
        request = parse_request(signed)
        digest = signed.request_digest
        if digest in self.requests or request.id in self._digests:
            raise EntryVoid("this request was published before")
        officer, cosigner = self.officer_of(signed.officer), self.officer_of(signed.cosigner)
        if officer is None or cosigner is None:
            raise EntryVoid("an officer's certificate isn't in the register")
        if officer.is_revoked or cosigner.is_revoked:
            raise EntryVoid("an officer's certificate was revoked")
        check_signatures(signed, unb64u(officer.signing_key))
        self._check_agency(request, officer.signing_key)
        limits = self.limits[-1].limits
        check_limits(request, limits)
        renewed = self._check_counts(request, limits)
        record = RequestRecord(index=index, request=request, signed=signed)

        def take() -> None:
            self.requests[digest] = record
            self._digests[request.id] = digest
            self._counts.add(record)
            if renewed is not None:
                renewed.renewed_by = digest

        return take

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

    def check_counts(self, request: EvidenceRequest) -> None:
        """Raise RuleBroken if R4, R13 or R15 would keep such a request out now, signed or not."""
        self._check_counts(request, self.limits[-1].limits)

    def _check_counts(self, request: EvidenceRequest, limits: Limits) -> RequestRecord | None:
        """Check R4, R13 and R15 against what was published before; return what is renewed."""
        agency, now_ms = request.agency, request.created_ms
        renewed = self._renewed(request)
        counts = self._counts
        if renewed is None and (counts.by_case[agency, request.case_number] >= limits.max_per_case):
            raise RuleBroken(
                "case_limit", f"a case may have {limits.max_per_case} requests at most"
            )
        mine = _standing(counts.by_officer.get((agency, request.officer_id), []), now_ms)
        is_open = [record for record in mine if record is not renewed]
        if len(is_open) >= limits.max_open_per_officer:
            raise RuleBroken(
                "open_limit",
                f"an officer may have {limits.max_open_per_officer} open requests at most",
            )
        if renewed is not None:
            return renewed
        for cell in request.cells:
            if _is_any_near(counts.by_cell.get((agency, cell), []), now_ms, limits.area_quiet_ms):
                hours = limits.area_quiet_ms // 3_600_000
                raise RuleBroken(
                    "area_quiet", f"the same place may be asked about once in {hours} hours"
                )
        if request.is_emergency and _standing(counts.emergencies.get(agency, []), now_ms):
            raise RuleBroken("emergency", "an agency may have one open emergency at most")
        return None

    def _renewed(self, request: EvidenceRequest) -> RequestRecord | None:
        if request.renewed_id is None:
            return None
        renewed = self.request_by_id(request.renewed_id)
        if renewed is None or renewed.is_withdrawn:
            raise RuleBroken("renewal", "no such request stands")
        if renewed.renewed_by is not None:
            raise RuleBroken("renewal", "a request can be renewed once")
        check_renewal(request, renewed.request)
        return renewed

    def _prepare_withdrawal(self, leaf: WithdrawnLeaf) -> Callable[[], None]:
        officer = self.officer_of(leaf.signed.officer)
        if officer is None or officer.is_revoked:
            raise EntryVoid("the officer's certificate isn't in the register, or was revoked")
        withdrawal = check_withdrawal(leaf.signed, unb64u(officer.signing_key))
        record = self.requests.get(withdrawal.request_digest)
        if record is None or record.request.agency != withdrawal.agency:
            raise EntryVoid("the agency published no such request")
        if record.is_withdrawn:
            raise EntryVoid("this request was withdrawn before")
        return lambda: setattr(record, "is_withdrawn", True)

    def _prepare_refusal(self, leaf: RefusedLeaf) -> Callable[[], None]:
        if leaf.agency not in self.agreements:
            raise EntryVoid(f"no agency {leaf.agency!r} is known")
        key = (leaf.agency, leaf.category)
        return lambda: self.refusals.update([key])


def _standing(records: list[RequestRecord], now_ms: int) -> list[RequestRecord]:
    """Return which of these, in order of their expiry, still stand."""
    unexpired = records[bisect_right(records, now_ms, key=_expires_ms) :]
    return [one for one in unexpired if not one.is_withdrawn and one.renewed_by is None]


def _is_any_near(records: list[RequestRecord], now_ms: int, quiet_ms: int) -> bool:
    """Tell whether one of these, in order of their making, was made so close to that time."""
    at = bisect_right(records, now_ms - quiet_ms, key=_created_ms)
    return at < len(records) and _created_ms(records[at]) < now_ms + quiet_ms


def _expires_ms(record: RequestRecord) -> int:
    return record.request.expires_ms


def _created_ms(record: RequestRecord) -> int:
    return record.request.created_ms


def _admins_by_id(admins: list[Admin]) -> dict[str, Admin]:
    for admin in admins:
        load_p256(unb64u(admin.key))
    by_id = {admin.id: admin for admin in admins}
    if len(by_id) != len(admins) or len({admin.key for admin in admins}) != len(admins):
        raise EntryVoid("each administrator has an id and a key of their own")
    return by_id


def _check_signers(
    signatures: list[ChangeSignature], message: bytes, *, keys: dict[str, str], at_least: int
) -> None:
    """Raise EntryVoid unless so many different people signed, and nobody else."""
    for one in signatures:
        key = keys.get(one.by)
        if key is None:
            raise EntryVoid(f"{one.by!r} has no right to sign this")
        if not verify_p256(unb64u(key), unb64u(one.signature), message):
            raise EntryVoid(f"the signature of {one.by!r} doesn't match")
    if len({one.by for one in signatures}) < at_least:
        raise EntryVoid(f"{at_least} administrators must sign this")


def _keeps_the_rules(charter: Charter) -> bool:
    """Tell whether delays are as the rules say or longer, and limits as they are or stricter."""
    delays, rules = charter.delays, Delays()
    limits, most = charter.limits, Limits()
    return (
        delays.key_age_ms >= rules.key_age_ms
        and delays.agreement_age_ms >= rules.agreement_age_ms
        and delays.freshness_ms <= rules.freshness_ms
        and delays.slot_ms == rules.slot_ms
        and delays.batch_ms >= rules.batch_ms
        and limits.min_window_ms >= most.min_window_ms
        and limits.max_window_ms <= most.max_window_ms
        and limits.long_window_ms <= most.long_window_ms
        and limits.max_age_ms <= most.max_age_ms
        and limits.max_life_ms <= most.max_life_ms
        and limits.max_per_case <= most.max_per_case
        and limits.max_open_per_officer <= most.max_open_per_officer
        and limits.area_quiet_ms >= most.area_quiet_ms
    )
