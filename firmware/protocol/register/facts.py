"""The register's facts in force at a given time, by the witnesses' clocks. Frozen.

An entry is as old as the earliest checkpoint that holds it and that a quorum of witnesses has
signed: `Stamps` keeps these. `RegisterFacts` is what the verifier gets. The clock of whoever
serves the log plays no part.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from firmware.protocol.register.entries import Agreement, Delays, Limits, ProgramReleased
from firmware.protocol.register.replay import Register
from firmware.protocol.requests import EvidenceRequest, OfficerCertificate, SignedRequest


class Stamps:
    """The times by which a quorum of witnesses had seen each tree size."""

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._times_ms: list[int] = []

    def add(self, size: int, aged_ms: int) -> None:
        """Note that a checkpoint of `size` entries was witnessed by `aged_ms`.

        Kept are only those that say something new: a larger tree, or an earlier time.
        """
        at = bisect_right(self._sizes, size - 1)
        if at < len(self._sizes) and self._times_ms[at] <= aged_ms:
            return  # a tree as large was seen as early
        end = bisect_right(self._sizes, size)
        begin = end
        while begin > 0 and self._times_ms[begin - 1] >= aged_ms:
            begin -= 1
        self._sizes[begin:end] = [size]
        self._times_ms[begin:end] = [aged_ms]

    def keep_for(self, indexes: Iterable[int]) -> None:
        """Keep only what says since when these entries were witnessed, and the largest tree."""
        ats = {bisect_right(self._sizes, index) for index in indexes} | {len(self._sizes) - 1}
        kept = sorted(at for at in ats if 0 <= at < len(self._sizes))
        self._sizes = [self._sizes[at] for at in kept]
        self._times_ms = [self._times_ms[at] for at in kept]

    def pairs(self) -> list[tuple[int, int]]:
        """Return all pairs, in the form that `add` takes, smallest tree first."""
        return list(zip(self._sizes, self._times_ms, strict=True))

    def seen_ms(self, index: int) -> int | None:
        """Return by when entry `index` was witnessed; None if it isn't yet."""
        at = bisect_right(self._sizes, index)
        return self._times_ms[at] if at < len(self._times_ms) else None

    def seen_size(self, index: int) -> int | None:
        """Return the size of the tree in which entry `index` was first witnessed."""
        at = bisect_right(self._sizes, index)
        return self._sizes[at] if at < len(self._sizes) else None

    @property
    def size(self) -> int:
        """The size of the largest witnessed tree."""
        return self._sizes[-1] if self._sizes else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementFact:
    """One agreement, and by when witnesses had seen it and its suspension (None: not yet)."""

    agreement: Agreement
    seen_ms: int | None
    is_suspended: bool
    suspended_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficerFact:
    """One certificate of an officer."""

    certificate: OfficerCertificate
    signing_key: str
    seen_ms: int | None
    is_revoked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFact:
    """One published request, with the certificates that it was signed under."""

    request: EvidenceRequest
    signed: SignedRequest
    seen_ms: int | None
    is_withdrawn: bool
    renewed_by: str | None
    officer: OfficerFact
    cosigner: OfficerFact


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramFact:
    """One released program, and by when witnesses had seen its release (None: not yet)."""

    program: ProgramReleased
    seen_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterFacts:
    """A follower's knowledge of the register at one moment.

    `fresh_ms`: a quorum of witnesses says that its newest checkpoint isn't older than this.
    """

    origin: str
    is_example: bool
    size: int
    fresh_ms: int
    delays: Delays
    limits: Limits
    agreements: Mapping[str, tuple[AgreementFact, ...]]
    """By agency, oldest first."""
    requests: Mapping[str, RequestFact]
    """By the digest that grants name. One that is within the newest limits only, which are too
    young to count, isn't here before they are old enough."""
    programs: tuple[ProgramFact, ...]
    """Oldest first."""


def no_register(origin: str) -> RegisterFacts:
    """Return the facts of a follower that hasn't seen the register: none, with infinite age."""
    return RegisterFacts(
        origin=origin,
        is_example=False,
        size=0,
        fresh_ms=0,
        delays=Delays(),
        limits=Limits(),
        agreements={},
        requests={},
        programs=(),
    )


def facts_of(
    register: Register, stamps: Stamps, *, fresh_ms: int, requests_since_ms: int | None = 0
) -> RegisterFacts:
    """Return the facts, without requests that ended before `requests_since_ms` (None: none)."""
    place = place_of_limits(register, stamps, fresh_ms)
    return RegisterFacts(
        origin=register.origin,
        is_example=register.is_example,
        size=register.size,
        fresh_ms=fresh_ms,
        delays=register.delays,
        limits=register.limits[place].limits if register.limits else Limits(),
        agreements={
            agency: tuple(
                AgreementFact(
                    agreement=record.agreement,
                    seen_ms=stamps.seen_ms(record.index),
                    is_suspended=record.is_suspended,
                    suspended_ms=None
                    if record.suspended_index is None
                    else stamps.seen_ms(record.suspended_index),
                )
                for record in records
            )
            for agency, records in register.agreements.items()
        },
        requests={}
        if requests_since_ms is None
        else {
            digest: RequestFact(
                request=record.request,
                signed=record.signed,
                seen_ms=stamps.seen_ms(record.index),
                is_withdrawn=record.is_withdrawn,
                renewed_by=record.renewed_by,
                officer=_officer(register, stamps, record.signed, is_cosigner=False),
                cosigner=_officer(register, stamps, record.signed, is_cosigner=True),
            )
            for digest, record in register.requests.items()
            if record.request.expires_ms >= requests_since_ms and record.keeps_from <= place
        },
        programs=tuple(
            ProgramFact(program=record.program, seen_ms=stamps.seen_ms(record.index))
            for record in register.programs
        ),
    )


def agreement_in_force(facts: RegisterFacts, agency: str, now_ms: int) -> Agreement | None:
    """Return the agreement under which an agency may ask now, or None.

    It is old enough by the witnesses' clocks (R17), begun, not over, and not suspended; a newer one
    takes an older one's place only once it counts itself. None counts before the agency's first
    was public for long enough (R20): else a second one, published with it, would come sooner.
    """
    known = facts.agreements.get(agency, ())
    if not known or not is_old_enough(known[0].seen_ms, facts.delays.agreement_age_ms, now_ms):
        return None
    counting = [fact for fact in known if _counts(fact, facts.delays, now_ms)]
    if not counting or now_ms >= counting[-1].agreement.ends_ms:
        return None
    return counting[-1].agreement


def is_old_enough(seen_ms: int | None, age_ms: int, now_ms: int) -> bool:
    """Return whether witnesses saw it at least `age_ms` ago."""
    return seen_ms is not None and now_ms - seen_ms >= age_ms


def place_of_limits(register: Register, stamps: Stamps, now_ms: int) -> int:
    """Return where in `Register.limits` the newest stand that are old enough (R17).

    Those of the charter need no age: there are none before them.
    """
    age_ms = register.delays.key_age_ms
    for place in range(len(register.limits) - 1, 0, -1):
        if is_old_enough(stamps.seen_ms(register.limits[place].index), age_ms, now_ms):
            return place
    return 0


def _counts(fact: AgreementFact, delays: Delays, now_ms: int) -> bool:
    return (
        not fact.is_suspended
        and fact.agreement.begins_ms <= now_ms
        and is_old_enough(fact.seen_ms, delays.key_age_ms, now_ms)
    )


def _officer(
    register: Register, stamps: Stamps, signed: SignedRequest, *, is_cosigner: bool
) -> OfficerFact:
    record = register.officer_of(signed.cosigner if is_cosigner else signed.officer)
    assert record is not None  # noqa: S101 - a request is only published with its certificates
    return OfficerFact(
        certificate=record.certificate,
        signing_key=record.signing_key,
        seen_ms=stamps.seen_ms(record.index),
        is_revoked=record.is_revoked,
    )
