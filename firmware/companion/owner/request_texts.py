"""Terminal texts for requests of the police (`waiting_texts.py`: for waiting statements).

What is said first is fixed (trust rule R7), and nothing here presses anybody.
"""

from collections.abc import Sequence
from datetime import datetime, time, timedelta, tzinfo

import msgspec

from firmware.companion.owner.errors import OwnerError
from firmware.companion.owner.waiting_texts import (
    asking_lines,
    clip_lines,
    one_line,
    span_text,
    time_text,
)
from firmware.protocol.asking import (
    GivenLine,
    GrantAsked,
    OfferedClip,
    RequestLine,
    RequestsNow,
    Stage,
)
from firmware.protocol.decisions import IdentityGiven
from firmware.protocol.encoding import sha256_hex, unb64u
from firmware.protocol.requests import EvidenceRequest

FIRST = "You may ignore this. The police can't see whether you saw it."
SHORT_CHARS = 8
"""How much of a digest names a request here."""
STAGES: dict[Stage, str] = {
    "waiting": "waits for your last word (doorward approve, or its own page)",
    "not_confirmed": "never got your last word; nothing left",
    "held": "confirmed; it goes at the end of the quarter of an hour; until half a minute before,"
    " you can take it back without a trace",
    "logging": "confirmed; it waits for the public log",
    "sealing": "confirmed and logged; it is being sealed",
    "sending": "sealed; on its way",
    "sent": "sent",
    "failed": "failed; nothing left",
    "damaged": "spoilt by the memory card; what wasn't sent never will be: take back what was",
    "not_taken": "not taken by the relay, and deleted; your app says why",
    "taken_back": "taken back",
}


def requests_lines(now: RequestsNow, zone: tzinfo | None) -> list[str]:
    """Return all that concerns the door, as its doorbell read it in the public register."""
    if not now.is_opted_in:
        return [
            "Your doorbell tells of no requests: that is off until an owner switches it on, in the",
            "app (Settings, Tell me when the police ask for recordings from here), or in the file",
            "doorbell.toml ([place], is_opted_in).",
            *given_lines(now.given, zone),
        ]
    if not now.requests:
        nothing = "No request that your doorbell read in the public register concerns this door."
        return [nothing, *given_lines(now.given, zone)]
    lines = [FIRST]
    for line in now.requests:
        short = line.digest_of_request[:SHORT_CHARS]
        lines += ["", f"--- {short} ---", *request_lines(line, zone)]
        lines += ["", f"To answer it: doorward answer {short}"]
    if now.left_out:
        lines += ["", f"{now.left_out} more concern this door; answer some of these first."]
    return [*lines, *given_lines(now.given, zone)]


def given_lines(given: Sequence[GivenLine], zone: tzinfo | None) -> list[str]:
    """Return what the owner gave, and how far that is."""
    if not given:
        return []
    lines = ["", "What you gave:", *(f"  {given_text(one, zone)}" for one in given)]
    return [*lines, "", "To take one back: doorward take-back, and how it begins"]


def given_text(one: GivenLine, zone: tzinfo | None) -> str:
    """Return one grant, and how far it is."""
    return (
        f"{one.statement_digest[:SHORT_CHARS]}: to {one_line(one.agency)}, for "
        f"{one.request_digest[:SHORT_CHARS]}, {time_text(one.received_ms, zone)}: "
        f"{STAGES[one.stage]}"
    )


def request_lines(line: RequestLine, zone: tzinfo | None) -> list[str]:
    """Return one request, and what this doorbell knows of its owners' answers."""
    request = line.parsed()
    nothing = IdentityGiven()
    asked = grant_asked(line, request, [], has_audio=False, identity=nothing, not_after_ms=0)
    lines = [
        *asking_lines(asked, zone),
        f"The request ends {time_text(request.expires_ms, zone)}.",
    ]
    if line.is_declined:
        lines.append("An owner said no to it.")
    if line.held_until_ms is not None:
        lines.append(f"Its time is kept until {time_text(line.held_until_ms, zone)}.")
    return lines


def offered_lines(clips: Sequence[OfferedClip], zone: tzinfo | None) -> list[str]:
    """Return what could be given."""
    lines = ["What your doorbell has of that time:"]
    for number, one in enumerate(clips, 1):
        first, *more = clip_lines(one.leaves, number, zone)
        lines += [f"{first} (id {one.clip.clip_id[:SHORT_CHARS]})", *more]
    return lines


def grant_asked(
    line: RequestLine,
    request: EvidenceRequest,
    clips: Sequence[OfferedClip],
    *,
    has_audio: bool,
    identity: IdentityGiven,
    not_after_ms: int,
) -> GrantAsked:
    """Return a grant as the doorbell will show it when it asks once more."""
    return GrantAsked(
        agency=line.agency,
        is_example=line.is_example,
        officer_name=request.officer_name,
        cosigner_name=request.cosigner_name,
        contact=request.contact,
        case_number=request.case_number,
        incident_type=request.incident_type,
        text=request.text,
        reason=request.reason,
        danger=request.danger,
        asked_from_ms=request.from_ms,
        asked_to_ms=request.to_ms,
        retention_days=request.retention_days,
        onward_sharing=request.onward_sharing,
        clips=[
            msgspec.structs.replace(one.leaves, has_sound=has_audio and one.leaves.has_sound)
            for one in clips
        ],
        has_audio=has_audio,
        given_name=identity.name,
        given_address=identity.address,
        given_contact=identity.contact,
        key_fingerprints=[sha256_hex(unb64u(key))[:16] for key in dict.fromkeys(line.sealing_keys)],
        not_after_ms=not_after_ms,
    )


def moment_ms(text: str, request: EvidenceRequest, zone: tzinfo | None) -> int:
    """Return a typed moment inside the asked time, or raise OwnerError.

    `14:02:10` is the first such time from the asked time's beginning on.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _next_time(text, request.from_ms, zone)
    if moment.tzinfo is None:
        moment = _local(moment, zone)
    try:
        found_ms = round(moment.timestamp() * 1000)
    except (OverflowError, ValueError):  # the years at both ends of the calendar
        found_ms = 0
    if not request.from_ms <= found_ms <= request.to_ms:
        raise OwnerError(
            f"{one_line(text)} isn't inside the asked time: "
            f"{span_text(request.from_ms, request.to_ms, zone)}"
        )
    return found_ms


def _next_time(text: str, begin_ms: int, zone: tzinfo | None) -> datetime:
    try:
        clock = time.fromisoformat(text)
        if clock.tzinfo is not None:
            raise ValueError("a zone has a date before it")
    except ValueError as error:
        raise OwnerError(
            f"{one_line(text)} is no time: give it like 14:02:10, or 2026-03-05T14:02:10"
        ) from error
    begin = datetime.fromtimestamp(begin_ms / 1000, zone).replace(tzinfo=None)
    moment = datetime.combine(begin.date(), clock)
    return _local(moment if moment >= begin else moment + timedelta(days=1), zone)


def _local(moment: datetime, zone: tzinfo | None) -> datetime:
    return moment.astimezone() if zone is None else moment.replace(tzinfo=zone)
