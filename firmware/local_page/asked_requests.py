"""Published requests that concern this doorbell, and the clips that answer them, for owners.

All of it is this doorbell's own reading of the public register, and its own library. Nothing is
decided: what may be given is judged again once it is signed. The footage is what the package would
hold: the same part of the same clip, by the same functions.
"""

from dataclasses import asdict

import msgspec

from firmware.clips.library import Library
from firmware.clips.record import ClipRecord
from firmware.decisions.request_intake import Register, RelevantRequest, RequestIntake
from firmware.local_page.presenter import StatementPresenter, agency_name
from firmware.local_page.release_tracker import ReleaseTracker
from firmware.protocol.asking import (
    MAX_GIVEN,
    MAX_OFFERED,
    MAX_REQUESTS,
    ClipsNow,
    ClipsWanted,
    GivenLine,
    LookWanted,
    OfferedClip,
    RequestedClip,
    RequestLine,
    RequestsNow,
    Stage,
)
from firmware.protocol.grants import ClipRange
from firmware.protocol.requests import EvidenceRequest
from firmware.store.household import HeldTime, HouseholdStore
from firmware.store.statements import StatementStore, WaitingStatement
from firmware.system.clock import Clock


class AskedRequests:
    """Requests at one doorbell. Its methods read storage: not on the loop."""

    def __init__(
        self,
        *,
        desk: RequestIntake,
        register: Register,
        showing: StatementPresenter,
        library: Library,
        household: HouseholdStore,
        statements: StatementStore,
        progress: ReleaseTracker,
        clock: Clock,
    ) -> None:
        self._desk = desk
        self._register = register
        self._showing = showing
        self._library = library
        self._household = household
        self._statements = statements
        self._progress = progress
        self._clock = clock

    def now(self, credential_id: str) -> RequestsNow:
        """Return the requests that concern this door, and what one owner gave."""
        matched = self._desk.matched()
        declined = self._household.declined()
        now_ms = self._clock.wall_ms()
        holds = [hold for hold in self._household.holds() if hold.until_ms > now_ms]
        return RequestsNow(
            is_opted_in=self._desk.is_opted_in,
            requests=[
                RequestLine(
                    request=one.fact.signed.request,
                    agency=one.agreement.name,
                    is_example=self._register.facts().is_example,
                    sealing_keys=list(one.agreement.sealing_keys),
                    is_declined=one.digest in declined,
                    held_until_ms=_held_until(holds, one.fact.request),
                )
                for one in matched[:MAX_REQUESTS]
            ],
            left_out=len(matched[MAX_REQUESTS:]),
            given=self._given(credential_id, now_ms),
        )

    def clips(self, wish: ClipsWanted) -> ClipsNow | None:
        """Return what there is of the asked time; None: no such request concerns this door."""
        matched = self._find(wish.request_digest)
        if matched is None:
            return None
        from_ms = max(wish.from_ms, matched.fact.request.from_ms)
        to_ms = min(wish.to_ms, matched.fact.request.to_ms)
        ranges = [
            one
            for record in self._library.finished(from_ms=from_ms, to_ms=to_ms)
            if (one := _range(record, from_ms, to_ms)).from_ms < one.to_ms
        ]
        return ClipsNow(
            clips=[self._offered(one) for one in ranges[:MAX_OFFERED]],
            is_more=len(ranges) > MAX_OFFERED,
        )

    def look(self, wish: LookWanted) -> bytes | None:
        """Return what would leave, as MP4; None: that can't be given for this request."""
        matched, clip = self._find(wish.request_digest), wish.clip
        if matched is None:
            return None
        request = matched.fact.request
        if not request.from_ms <= clip.from_ms < clip.to_ms <= request.to_ms:
            return None
        return self._showing.footage(clip, has_audio=wish.has_audio)

    def _given(self, credential_id: str, now_ms: int) -> list[GivenLine]:
        own = [
            (statement, terms)
            for statement, terms in self._statements.grants()
            if statement.statement.assertion.credential_id == credential_id
        ]
        return [
            GivenLine(
                statement_digest=statement.digest,
                request_digest=terms.request_digest,
                agency=agency_name(terms.recipient.agency, self._register.facts()),
                received_ms=statement.received_ms,
                stage=self._stage(statement, now_ms),
            )
            for statement, terms in reversed(own[-MAX_GIVEN:])
        ]

    def _stage(self, statement: WaitingStatement, now_ms: int) -> Stage:
        progress = self._progress.of(statement.digest)
        if progress is not None:
            return progress.stage
        if statement.digest in self._household.revoked():
            return "taken_back"
        is_waiting = statement.state == "waiting" and now_ms < statement.expires_ms
        return "waiting" if is_waiting else "not_confirmed"

    def _find(self, digest: str) -> RelevantRequest | None:
        return next((one for one in self._desk.matched() if one.digest == digest), None)

    def _offered(self, clip: ClipRange) -> OfferedClip:
        leaves = self._showing.clip(clip, has_audio=True)
        return OfferedClip(clip=clip, leaves=msgspec.convert(asdict(leaves), RequestedClip))


def _range(record: ClipRecord, from_ms: int, to_ms: int) -> ClipRange:
    """Return what of a clip lies between two moments: the times that a grant would name."""
    return ClipRange(
        clip_id=record.clip_id,
        manifest_digest=record.manifest_digest,
        from_ms=max(record.started_ms, from_ms),
        to_ms=min(record.ended_ms, to_ms),
    )


def _held_until(holds: list[HeldTime], request: EvidenceRequest) -> int | None:
    return max(
        (
            hold.until_ms
            for hold in holds
            if hold.from_ms <= request.from_ms and hold.to_ms >= request.to_ms
        ),
        default=None,
    )
