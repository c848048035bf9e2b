"""The parser of players' trickle ICE fragments (RFC 8840), as far as WHEP needs it.

All is bundled, so the candidates of every section are for the one transport. A fragment with
another ice-ufrag than the offer's asks for an ICE restart, which isn't supported.
"""

import re
from dataclasses import dataclass

from firmware.companion.viewer.errors import FragmentRefused

MAX_FRAGMENT_BYTES = 32 * 1024
MAX_CANDIDATE_CHARS = 512
_PRINTABLE = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """Candidates (`candidate:…`), in order and once each, and whether they were the last."""

    ufrags: frozenset[str]
    candidates: tuple[str, ...]
    is_last: bool


def parse_fragment(data: bytes) -> Fragment:
    """Parse a fragment, or raise FragmentRefused."""
    if len(data) > MAX_FRAGMENT_BYTES:
        raise FragmentRefused(f"a fragment has at most {MAX_FRAGMENT_BYTES} bytes")
    try:
        lines = data.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise FragmentRefused("a fragment is plain ASCII (RFC 8840)") from error
    if not all(re.match(r"[a-z]=", line) for line in lines if line):
        raise FragmentRefused("not an SDP fragment (RFC 8840 section 9)")
    candidates = [line.removeprefix("a=") for line in lines if line.startswith("a=candidate:")]
    for candidate in candidates:
        if len(candidate) > MAX_CANDIDATE_CHARS or not _PRINTABLE.fullmatch(candidate):
            raise FragmentRefused("a candidate that isn't one (RFC 8839 section 5.1)")
    return Fragment(
        ufrags=frozenset(ufrags_of(lines)),
        candidates=tuple(dict.fromkeys(candidates)),
        is_last="a=end-of-candidates" in lines,
    )


def ufrags_of(lines: list[str]) -> set[str]:
    """Return each ice-ufrag that these lines of an SDP name."""
    name = "a=ice-ufrag:"
    return {line.removeprefix(name).strip() for line in lines if line.startswith(name)}
