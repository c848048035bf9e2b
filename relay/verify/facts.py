"""Facts of a checked recording, as sentences for people."""

from firmware.protocol.footage import NO_MASK_DIGEST
from relay.verify.recordings import Recording
from relay.verify.wall_time import exact_moment, moment

PER_SECOND_90K = 90_000
TICKS_PER_MS = 90


def facts_of(recording: Recording) -> list[str]:
    """Return the facts of one recording; unusual ones come last."""
    manifest = recording.manifest
    width, height = manifest.shown_size
    facts = [
        f"recording number {manifest.counter} of this doorbell",
        f"begun {moment(manifest.started_ms)}, by the doorbell's clock",
        f"{seconds(manifest.duration_90k)} of {width} × {height}",
        *_part_facts(recording),
    ]
    facts += [
        f"{_TRIGGERS[trigger.kind]} at {seconds(trigger.at_90k)}" for trigger in manifest.triggers
    ]
    if manifest.sound_track is not None:
        facts.append(_sound_fact(recording))
    return facts + odd_facts_of(recording)


def odd_facts_of(recording: Recording) -> list[str]:
    """Return the unusual facts, which a reader must know."""
    manifest, sound = recording.manifest, recording.manifest.sound_track
    facts = []
    if not manifest.is_clock_trusted:
        facts.append(_undated(recording))
    if manifest.ended == "cut_short":
        facts.append("it ends early: the doorbell was interrupted while it recorded")
    if manifest.lost_units:
        facts.append(f"{manifest.lost_units} pictures are missing: the card couldn't keep up")
    if manifest.picture_gaps is not None:
        count, longest = manifest.picture_gaps.count, seconds(manifest.picture_gaps.longest_90k)
        facts.append(f"the camera skipped pictures: {count} gaps, the longest of {longest}")
    if sound is not None and recording.has_sound and sound.lost_90k >= PER_SECOND_90K // 10:
        lost = seconds(sound.lost_90k)
        facts.append(f"{lost} of it are silent because the microphone gave no sound")
    if manifest.mask_digest != NO_MASK_DIGEST:
        facts.append("part of the picture was masked by the owner")
    return facts


def _undated(recording: Recording) -> str:
    corrected_ms = recording.part.corrected_ms
    if not corrected_ms:
        return "the doorbell's clock wasn't set: the date and time may be wrong"
    begun = moment(recording.manifest.started_ms + corrected_ms)
    return (
        "the doorbell's clock wasn't set; once it was, the doorbell put the begin at "
        f"{begun} or, where it couldn't tell, not later than that"
    )


def _sound_fact(recording: Recording) -> str:
    if recording.has_sound:
        return "with sound"
    if recording.is_sound_given:
        return "recorded with sound; no whole piece of its sound lies in this part"
    return "recorded with sound, released without it"


def _part_facts(recording: Recording) -> list[str]:
    if recording.is_whole:
        is_trimmed = recording.is_trimmed
        return ["a trim after the release left all of it" if is_trimmed else "here is all of it"]
    first, count = recording.part.first_gop + 1, recording.part.gop_count
    begin, end = seconds(recording.begin_90k), seconds(recording.end_90k)
    by = "a trim after the release left" if recording.is_trimmed else "the owner gave"
    total = len(recording.manifest.gops)
    return [f"{by} {begin} to {end} of it (parts {first} to {first + count - 1} of {total})"]


def picture_moment(recording: Recording, pts_90k: int) -> str:
    """Return when one picture was taken, to the millisecond, by the doorbell's clock."""
    return exact_moment(recording.manifest.started_ms + pts_90k // TICKS_PER_MS)


def seconds(ticks_90k: int) -> str:
    """Return a time in a recording, in seconds."""
    return f"{ticks_90k / PER_SECOND_90K:.1f} s"


_TRIGGERS = {"pressed": "the bell was pressed", "motion": "something moved"}
