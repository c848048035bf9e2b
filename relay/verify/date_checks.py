"""Check of a recording's date: the doorbell's time must lie between two witnessed moments.

It can't have been described before witnesses signed the checkpoint that its description names, and
not have been made after they had seen its commitment. Whoever holds a doorbell's key can name an
older checkpoint, but none that wasn't signed yet; and can't commit in a slot that is over. So an
earlier date than the true one shows as a commitment that came late.

Witnesses' clocks and a doorbell's may differ by `SKEW_MS`. A commitment comes in the slot after the
recording's end; a doorbell that has no network makes it later, which isn't wrong, but doesn't prove
the date: only that the recording isn't younger.

A recording by a clock that wasn't set is held to the begin that the doorbell gave it later, if any.
That may be exact, or only "not later than" (firmware/clips/record.py, "latest"), and what is packed
doesn't say which: so it can be back-dated, but being later than its commitment is no lie. It is
older than it says then, and its date isn't proven.
"""

from firmware.protocol.custody import COMMITTED_WITHIN_MS, CaptureProof
from firmware.protocol.encoding import WireError
from firmware.protocol.footage import LONGEST_PRE_ROLL_90K, TICKS_PER_MS, ClipManifest
from firmware.protocol.tlog.checkpoint import parse_checkpoint
from firmware.protocol.tlog.policy import Policy
from firmware.protocol.tlog.proof import parse_proof
from firmware.protocol.tlog.signed_note import parse_note
from relay.verify.document_reader import Files, document_of, manifest_unverified, released_of
from relay.verify.errors import NotCheckable
from relay.verify.wall_time import moment

SKEW_MS = 2 * 60_000
MINUTE_MS = 60_000


def check_date(files: Files, number: int, policy: Policy | None) -> str:
    """Check that the recording's date lies between two witnessed moments."""
    name = f"capture-{number}.json"
    if policy is None:
        raise NotCheckable("no policy was given (--policy): whose times to believe isn't known")
    if name not in files:
        raise NotCheckable(f"without {name} nothing says by when it was there")
    manifest = manifest_unverified(files, number)
    proof = document_of(CaptureProof, files, name).proof
    by_ms = seen_ms(parse_proof(proof.encode()).note, policy)
    note = manifest.witnessed_note
    since_ms = None if note is None else seen_ms(note, policy)
    _check_witnessed(since_ms=since_ms, by_ms=by_ms)
    begin_ms = begin_ms_of(files, number, manifest)
    if begin_ms is not None:
        _check_order(manifest, begin_ms, since_ms=since_ms, by_ms=by_ms)
    if since_ms is None:
        return f"there by {moment(by_ms)}; since when isn't proven"
    return f"made between {moment(since_ms)} and {moment(by_ms)}"


def seen_ms(note: bytes, policy: Policy) -> int:
    origin = parse_checkpoint(parse_note(note).text).origin
    return policy.check(note, origin=origin).aged_ms


def begin_ms_of(files: Files, number: int, manifest: ClipManifest) -> int | None:
    """Return the recording's stated begin; None if it isn't known."""
    if manifest.is_clock_trusted:
        return manifest.started_ms
    corrected_ms = released_of(files, number).corrected_ms
    return manifest.started_ms + corrected_ms if corrected_ms else None


def _check_witnessed(*, since_ms: int | None, by_ms: int) -> None:
    if since_ms is not None and since_ms > by_ms + SKEW_MS:
        raise WireError(
            f"its description names a checkpoint that witnesses signed {moment(since_ms)}, after "
            f"they had seen its commitment ({moment(by_ms)})"
        )


def _check_order(
    manifest: ClipManifest, begin_ms: int, *, since_ms: int | None, by_ms: int
) -> None:
    begun_ms = begin_ms + min(manifest.pre_roll_90k, LONGEST_PRE_ROLL_90K) // TICKS_PER_MS
    ended_ms = begin_ms + manifest.duration_90k // TICKS_PER_MS
    if since_ms is not None and begun_ms + SKEW_MS < since_ms:
        raise WireError(
            f"it is back-dated: it says {moment(begun_ms)}, but its description names a checkpoint "
            f"that witnesses signed {moment(since_ms)}"
        )
    if ended_ms > by_ms + SKEW_MS and not manifest.is_clock_trusted:
        raise NotCheckable(
            f"it was there by {moment(by_ms)}, but the doorbell, whose clock wasn't set, put its "
            f"end at {moment(ended_ms)}: it knew only that it wasn't later, or the date is false"
        )
    if ended_ms > by_ms + SKEW_MS:
        raise WireError(
            f"its date is wrong: it says that it ended {moment(ended_ms)}, but witnesses had seen "
            f"its commitment by {moment(by_ms)}"
        )
    if by_ms - ended_ms > COMMITTED_WITHIN_MS:
        raise NotCheckable(
            f"it says that it ended {moment(ended_ms)}, but was committed to only by "
            f"{moment(by_ms)}, {_words(by_ms - ended_ms)} later: the doorbell was off line, or the "
            "date is false; that it is as old as it says isn't proven"
        )


def _words(duration_ms: int) -> str:
    minutes = duration_ms // MINUTE_MS
    if minutes < 2 * 60:
        return f"{minutes} minutes"
    hours = minutes // 60
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"
