"""What a signed clip manifest says about its recording, in sentences for people."""

from datetime import UTC, datetime

from firmware.protocol.footage import NO_MASK_DIGEST, ClipManifest

PER_SECOND_90K = 90_000


def facts_of(manifest: ClipManifest, *, has_sound: bool) -> list[str]:
    """Return the facts of a manifest that was checked; what is out of the ordinary comes last.

    `has_sound`: the recording was released with its sound.
    """
    begun = datetime.fromtimestamp(manifest.started_ms / 1000, UTC)
    facts = [
        f"recording number {manifest.counter} of this doorbell",
        f"begun {begun:%Y-%m-%d %H:%M:%S} UTC, by the doorbell's clock",
        f"{manifest.duration_90k / PER_SECOND_90K:.1f} s of {manifest.width} × {manifest.height}",
    ]
    facts += [
        f"{_TRIGGERS[trigger.kind]} at {trigger.at_90k / PER_SECOND_90K:.1f} s"
        for trigger in manifest.triggers
    ]
    sound = manifest.sound_track
    if sound is not None:
        facts.append("with sound" if has_sound else "recorded with sound, released without it")
    if not manifest.is_clock_trusted:
        facts.append("the doorbell's clock wasn't set: the date and time may be wrong")
    if manifest.ended == "cut_short":
        facts.append("it ends early: the doorbell was interrupted while it recorded")
    if manifest.lost_units:
        facts.append(f"{manifest.lost_units} pictures are missing: the card couldn't keep up")
    if sound is not None and has_sound and sound.lost_90k >= PER_SECOND_90K // 10:
        lost_s = sound.lost_90k / PER_SECOND_90K
        facts.append(f"{lost_s:.1f} s of it are silent because the microphone gave no sound")
    if manifest.mask_digest != NO_MASK_DIGEST:
        facts.append("part of the picture was masked by the owner")
    return facts


_TRIGGERS = {"pressed": "the bell was pressed", "motion": "something moved"}
