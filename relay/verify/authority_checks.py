"""Checks of who let the agency ask: the register's changes, replayed from its charter.

The rules are the doorbell's own (firmware/protocol/register/replay.py), over the chain that the
package brings, or over the whole register where the reader has it. An entry that nobody had the
right to make is void in the log, however well it is proved to be there, so it is trusted by nobody.

Ages are the witnesses': an agreement counts once it was public for long enough, and a package shows
that by checkpoints that are old enough. The newest one is as fresh at the release as a doorbell
needs it: an older one could be from before a suspension.
"""

import functools
from dataclasses import dataclass

import msgspec

from firmware.protocol.custody import ReleaseProof
from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.register.chain import LoggedEntry, replay_chain
from firmware.protocol.register.extract import MAX_EXTRACT_BYTES, ProvenEntry, RegisterExtract
from firmware.protocol.register.facts import Stamps, is_old_enough, place_of_limits
from firmware.protocol.register.records import AgreementRecord
from firmware.protocol.register.register_file import WholeRegister
from firmware.protocol.register.replay import Register
from firmware.protocol.register.rules import RuleBroken, check_limits
from firmware.protocol.requests import SignedRequest
from firmware.protocol.tlog.checkpoint import Checkpoint, parse_checkpoint
from firmware.protocol.tlog.merkle import leaf_hash, verify_consistency, verify_inclusion
from firmware.protocol.tlog.policy import Policy
from firmware.protocol.tlog.proof import parse_proof
from firmware.protocol.tlog.signed_note import NoteRefused, parse_note
from relay.verify.date_checks import SKEW_MS, seen_ms
from relay.verify.document_reader import (
    REGISTER,
    RELEASE,
    Files,
    document_of,
    request_unverified,
    signed_request,
)
from relay.verify.errors import NotCheckable
from relay.verify.wall_time import moment

HOUR_MS, DAY_MS = 3_600_000, 24 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedExtract:
    """An extract whose entries are all under one checkpoint, at these places."""

    extract: RegisterExtract
    checkpoint: Checkpoint
    agreement: LoggedEntry
    officer: LoggedEntry
    cosigner: LoggedEntry
    request: LoggedEntry
    renewed: tuple[LoggedEntry, ...]
    last: LoggedEntry

    @property
    def proven(self) -> list[LoggedEntry]:
        """What must have effect for the request to stand."""
        return [self.agreement, self.officer, self.cosigner, self.request, *self.renewed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The register after all that the evidence shows of it, and the agreement in it."""

    register: Register
    agreement: AgreementRecord
    proved: ProvedExtract


class AuthorityReader:
    """Who had authority, for all checks of one report: replayed once."""

    def __init__(self, files: Files, policy: Policy | None, whole: WholeRegister | None) -> None:
        self.files = files
        self.policy = policy
        self.whole = whole

    def read(self) -> Authority:
        """Return it, or raise WireError or NotCheckable."""
        if isinstance(self._found, Authority):
            return self._found
        raise self._found

    @functools.cached_property
    def _found(self) -> Authority | WireError | NotCheckable:
        try:
            return authority_of(self.files, self.policy, self.whole)
        except (WireError, NotCheckable) as error:
            return error


def extract_of(files: Files) -> RegisterExtract:
    """Return the extract, without proving anything."""
    return document_of(RegisterExtract, files, REGISTER, max_bytes=MAX_EXTRACT_BYTES)


def proved_extract(files: Files) -> ProvedExtract:
    """Return the extract if each entry is under one and the same checkpoint, or raise WireError."""
    extract = extract_of(files)
    checkpoint, last = _proved(extract.last)
    if last.index != checkpoint.size - 1:
        raise WireError("the last entry of the register isn't the one that is shown as the last")
    logged = {}
    for entry in entries_of(extract):
        other, logged[entry.proof, entry.entry] = _proved(entry)
        if (other.origin, other.size, other.root) != (
            checkpoint.origin,
            checkpoint.size,
            checkpoint.root,
        ):
            raise WireError("the entries of the register are proved by different checkpoints")

    def of(entry: ProvenEntry) -> LoggedEntry:
        return logged[entry.proof, entry.entry]

    return ProvedExtract(
        extract=extract,
        checkpoint=checkpoint,
        agreement=of(extract.agreement),
        officer=of(extract.officer),
        cosigner=of(extract.cosigner),
        request=of(extract.request),
        renewed=tuple(map(of, extract.renewed)),
        last=last,
    )


def entries_of(extract: RegisterExtract) -> list[ProvenEntry]:
    """Return all entries that are proved."""
    named = [extract.agreement, extract.officer, extract.cosigner, extract.request]
    return [*named, *extract.renewed, extract.last]


def check_authority(reader: AuthorityReader) -> str:
    """Check that the register's administrators let this agency and these officers ask."""
    register = reader.read().register
    by = ", ".join(sorted(register.admins))
    count = register.widenings + register.narrowings - 1
    shown = "the whole register" if reader.whole is not None else "the chain of changes"
    return f"by {shown}; changes since the charter: {count}; administrators now: {by}"


def authority_of(files: Files, policy: Policy | None, whole: WholeRegister | None) -> Authority:
    """Return who had authority, or raise WireError or NotCheckable."""
    if REGISTER not in files and policy is None:
        raise NotCheckable(f"the doorbell packed no proof of it ({REGISTER})")
    proved = proved_extract(files)
    origin = proved.checkpoint.origin
    charter = None if policy is None else policy.charter_of(origin)
    if whole is not None:
        register = whole.replayed(proved.checkpoint, charter=charter)
        for logged in proved.proven:
            void = next((one for one in register.voids if one.index == logged.index), None)
            if void is not None:
                raise WireError(f"entry {logged.index} of the register is void: {void.why}")
    else:
        register = _replayed(proved, request_unverified(files).agency, charter=charter)
    found = Authority(
        register=register,
        agreement=_standing_agreement(register, proved, request_unverified(files).agency),
        proved=proved,
    )
    _check_officers(register, signed_request(files))
    record = register.requests.get(signed_request(files).request_digest)
    if record is not None and record.is_withdrawn:
        raise WireError("the request was withdrawn before the recording was released")
    if policy is None:
        raise NotCheckable("no policy was given (--policy): whose charter to believe isn't known")
    if charter is None:
        raise NotCheckable(
            f"the policy doesn't name the charter of {origin} (a line #charter), so it isn't known "
            "whose administrators these are"
        )
    return found


def check_ages(reader: AuthorityReader) -> str:
    """Check that the agreement and both certificates were public for long enough (R17, R20)."""
    files, policy = reader.files, reader.policy
    if policy is None:
        raise NotCheckable("no policy was given (--policy): whose times to believe isn't known")
    if RELEASE not in files:
        raise NotCheckable(f"without {RELEASE} nothing says by when the owner had released it")
    found = reader.read()
    try:
        stamps, released_ms = _stamps(found.proved, policy), _released_ms(files, policy)
        fresh_ms = _fresh_ms(found.proved, policy)
    except NoteRefused as error:  # said by the check of the witnesses, too
        raise NotCheckable(f"how long they had been public is not shown: {error}") from error
    delays = found.register.delays
    if released_ms - fresh_ms > delays.freshness_ms + SKEW_MS:
        raise NotCheckable(
            f"witnesses saw the register that is here {moment(fresh_ms)}, and the release "
            f"{moment(released_ms)}: what changed in between is not shown"
        )
    first = found.register.agreements[found.agreement.agreement.agency][0]
    for what, index, age_ms in (
        ("the agency's first agreement", first.index, delays.agreement_age_ms),
        ("its agreement", found.agreement.index, delays.key_age_ms),
        ("the officer's certificate", found.proved.officer.index, delays.key_age_ms),
        ("the co-signer's certificate", found.proved.cosigner.index, delays.key_age_ms),
    ):
        seen_ms = stamps.seen_ms(index)
        if not is_old_enough(seen_ms, age_ms, released_ms):
            since = "" if seen_ms is None else f": what is here shows it since {moment(seen_ms)}"
            raise NotCheckable(
                f"that {what} had been public for {_length(age_ms)} when the owner released it is "
                f"not shown{since}"
            )
    _check_limits(files, found.register, stamps, released_ms)
    return f"by {moment(released_ms)}, when the release was witnessed"


def _check_limits(files: Files, register: Register, stamps: Stamps, released_ms: int) -> None:
    """Check that the request keeps the limits that were old enough (R17)."""
    place = place_of_limits(register, stamps, released_ms)
    try:
        check_limits(request_unverified(files), register.limits[place].limits)
    except RuleBroken as error:
        raise NotCheckable(
            "that the limits which let the request in had been public for "
            f"{_length(register.delays.key_age_ms)} is not shown, and by the older ones {error}"
        ) from error


def _replayed(proved: ProvedExtract, agency: str, *, charter: str | None) -> Register:
    chain = proved.extract.chain
    if chain is msgspec.UNSET:
        raise NotCheckable(
            "the chain of the register's changes is longer than a package holds: save the whole "
            "register with `doorward-monitor --save-register register.tlog`, beside the evidence "
            "or named by --register"
        )
    return replay_chain(
        chain,
        proved.proven,
        proved.last,
        origin=proved.checkpoint.origin,
        agency=agency,
        charter=charter,
    )


def _standing_agreement(register: Register, proved: ProvedExtract, agency: str) -> AgreementRecord:
    known = register.agreements.get(agency, [])
    record = next((one for one in known if one.index == proved.agreement.index), None)
    if record is None:
        raise WireError("the agreement that is shown is of another agency")
    if record.is_suspended:
        raise WireError("the agency was suspended before the recording was released")
    return record


def _check_officers(register: Register, signed: SignedRequest) -> None:
    for certificate in (signed.officer, signed.cosigner):
        officer = register.officer_of(certificate)
        if officer is None:
            raise WireError("an officer's certificate isn't in the register")
        if officer.is_revoked:
            raise WireError("an officer's certificate was revoked before the release")


def _stamps(proved: ProvedExtract, policy: Policy) -> Stamps:
    """Return since when witnesses have seen what, by the earlier checkpoints that are here."""
    stamps, newest = Stamps(), proved.checkpoint
    for earlier in proved.extract.ages:
        witnessed = policy.check(earlier.note.encode(), origin=newest.origin)
        verify_consistency(
            old_size=witnessed.checkpoint.size,
            old_root=witnessed.checkpoint.root,
            size=newest.size,
            root=newest.root,
            proof=[unb64u(one) for one in earlier.hashes],
        )
        stamps.add(witnessed.checkpoint.size, witnessed.aged_ms)
    return stamps


def _fresh_ms(proved: ProvedExtract, policy: Policy) -> int:
    """Return when witnesses last saw the register's checkpoint, by the proof of its last entry."""
    note = parse_proof(proved.extract.last.proof.encode()).note
    return policy.check(note, origin=proved.checkpoint.origin).fresh_ms


def _released_ms(files: Files, policy: Policy) -> int:
    """Return by when witnesses had seen the release: it isn't older than its own checkpoint."""
    proof = document_of(ReleaseProof, files, RELEASE).proof
    return seen_ms(parse_proof(proof.encode()).note, policy)


def _proved(entry: ProvenEntry) -> tuple[Checkpoint, LoggedEntry]:
    parsed = parse_proof(entry.proof.encode())
    checkpoint = parse_checkpoint(parse_note(parsed.note).text)
    data = entry.entry.encode()
    verify_inclusion(
        index=parsed.index,
        size=checkpoint.size,
        leaf_hash=leaf_hash(data),
        proof=parsed.hashes,
        root=checkpoint.root,
    )
    return checkpoint, LoggedEntry(index=parsed.index, entry=data)


def _length(age_ms: int) -> str:
    if age_ms >= DAY_MS and age_ms % DAY_MS == 0 and age_ms > 3 * DAY_MS:
        return f"{age_ms // DAY_MS} days"
    return f"{age_ms // HOUR_MS} hours" if age_ms >= HOUR_MS else f"{age_ms / 1000:g} seconds"
