"""The checks of an offer's SDP before it reaches a parser, and its ICE candidates.

Not a full parser: aiortc parses, inside what is left here. The candidates are taken out and given
to ICE one by one (peer.py), so that a name that nobody resolves holds up nothing.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from firmware.protocol.encoding import WireError
from firmware.protocol.sdp import check_offer, has_video

MAX_SESSION_CANDIDATES = 64
"""In one session, offered and trickled; each costs a few checks with each of ours."""
MAX_LINE_CHARS = 4096
_KINDS = ("audio", "video", "application")
_CANDIDATE = re.compile(
    r"candidate:(?P<foundation>[A-Za-z0-9+/]{1,32}) (?P<component>[0-9]{1,3})"
    r" (?P<transport>[A-Za-z]{1,8}) (?P<priority>[0-9]{1,10}) (?P<address>[^ ]{1,255})"
    r" (?P<port>[0-9]{1,5}) typ (?P<type>[a-z]{1,8})(?: .*)?",
)
_MDNS_NAME = re.compile(r"[A-Za-z0-9-]{1,63}\.local")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One of the viewer's addresses that ICE may try (RFC 8839 section 5.1); UDP, component 1."""

    foundation: str
    priority: int
    address: str
    """An IP address, or a `.local` name, which must be resolved by mDNS first."""
    port: int
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedOffer:
    """A checked offer, its candidates apart."""

    sdp: str
    candidates: tuple[Candidate, ...]
    is_complete: bool
    """Whether the offer said that no more candidates follow."""
    has_audio: bool
    has_video: bool
    """Not where a browser without H.264 fetches recordings over the data channel."""


def parse_offer(sdp: str) -> ParsedOffer:
    """Check an offer and take its candidates out, or raise WireError."""
    check_offer(sdp)
    lines = sdp.splitlines()
    if any(len(line) > MAX_LINE_CHARS for line in lines):
        raise WireError(f"a line of the SDP is longer than {MAX_LINE_CHARS} characters")
    kinds = [line[2:].partition(" ")[0] for line in lines if line.startswith("m=")]
    if len(kinds) != len(set(kinds)) or not set(kinds) <= set(_KINDS):
        raise WireError("offer at most one video, one audio and one data section")
    kept = [line for line in lines if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
    return ParsedOffer(
        sdp="\r\n".join(kept) + "\r\n",
        candidates=parse_candidates(_carrier_of(_media_of(lines), lines).candidates),
        is_complete="a=end-of-candidates" in lines,
        has_audio="audio" in kinds,
        has_video=has_video(sdp),
    )


def parse_candidates(lines: Iterable[str]) -> tuple[Candidate, ...]:
    """Return the usable candidates; TCP and unknown kinds are skipped.

    Raises WireError for what is no candidate at all, or for too many.
    """
    listed = list(lines)
    if len(listed) > MAX_SESSION_CANDIDATES:
        raise WireError(f"more than {MAX_SESSION_CANDIDATES} candidates")
    parsed = (_parse_candidate(line) for line in listed)
    return tuple(candidate for candidate in parsed if candidate is not None)


@dataclass(slots=True)
class _Section:
    """One media description or the session part, as far as it is read here."""

    mids: list[str] = field(default_factory=list)
    fingerprints: set[str] = field(default_factory=set)
    candidates: list[str] = field(default_factory=list)


def _media_of(lines: Iterable[str]) -> list[_Section]:
    """Return the media descriptions; all have the same fingerprints, or the session part has."""
    sections = [_Section()]
    for line in lines:
        name, _, value = line.partition(":")
        if line.startswith("m="):
            sections.append(_Section())
        elif name == "a=mid":
            sections[-1].mids.append(value)
        elif name == "a=fingerprint":
            sections[-1].fingerprints.add(value.lower())
        elif name == "a=candidate":
            sections[-1].candidates.append(line.removeprefix("a="))
    head, *media = sections
    said = [section.fingerprints or head.fingerprints for section in media]
    if not all(said) or any(one != said[0] for one in said):
        raise WireError("each section of the offer must name the same DTLS fingerprints")
    return media


def _carrier_of(media: list[_Section], lines: Iterable[str]) -> _Section:
    """Return the section whose transport is BUNDLE's (RFC 9143 section 7.2).

    The others have candidates of their own, in case that we can't bundle; we always do, so an
    offer that doesn't bundle each of its sections under its own name can't be taken.
    """
    groups = [line.split()[1:] for line in lines if line.startswith("a=group:BUNDLE")]
    mids = [section.mids for section in media]
    if len(groups) != 1 or not groups[0] or sorted([mid] for mid in groups[0]) != sorted(mids):
        raise WireError("the offer must bundle all its sections (RFC 9143), each by its a=mid")
    return next(one for one in media if one.mids == groups[0][:1])


def _parse_candidate(line: str) -> Candidate | None:
    match = _CANDIDATE.fullmatch(line)
    if match is None:
        raise WireError("an ICE candidate that isn't one (RFC 8839 section 5.1)")
    port, priority = int(match["port"]), int(match["priority"])
    if not 1 <= port <= 0xFFFF or not 1 <= priority <= 0x7FFFFFFF:
        raise WireError("an ICE candidate with a port or priority out of range")
    is_usable = (
        match["transport"].lower() == "udp"
        and match["component"] == "1"
        and match["type"] in ("host", "srflx", "relay")
        and _is_address(match["address"])
    )
    if not is_usable:
        return None
    return Candidate(
        foundation=match["foundation"],
        priority=priority,
        address=match["address"],
        port=port,
        type=match["type"],
    )


def _is_address(text: str) -> bool:
    if _MDNS_NAME.fullmatch(text):
        return True
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified)
