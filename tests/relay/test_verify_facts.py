"""What a reader is told of a recording: the ordinary, and all that is out of the ordinary."""

import msgspec
import pytest

from firmware.protocol.footage import (
    NO_MASK_DIGEST,
    ClipManifest,
    ClipTrigger,
    Gop,
    SoundSpan,
    SoundTrack,
)
from firmware.protocol.released_part import ReleasedPart
from relay.verify.facts import facts_of
from relay.verify.recordings import Recording

AN_ID = "a" * 26
PLAIN = ClipManifest(
    clip_id=AN_ID,
    device="abcdefghijklmnopqrst",
    boot_id=AN_ID,
    counter=42,
    started_ms=1_790_000_000_000,
    is_clock_trusted=True,
    duration_90k=1_350_000,
    width=1280,
    height=720,
    pre_roll_90k=540_000,
    ended="complete",
    lost_units=0,
    mask_digest=NO_MASK_DIGEST,
    triggers=[
        ClipTrigger(event_id=AN_ID, kind="motion", at_90k=540_000),
        ClipTrigger(event_id="b" * 26, kind="pressed", at_90k=720_000),
    ],
    gops=[Gop(first_pts_90k=0, unit_count=1, leaf="0" * 64)],
    video_root="0" * 64,
)


SOUND = SoundTrack(
    lost_90k=180_000,
    spans=[SoundSpan(first_pts_90k=-1920, unit_count=1, leaf="0" * 64)],
    root="0" * 64,
)


def recording(
    manifest: ClipManifest = PLAIN,
    *,
    has_sound: bool = False,
    gops: tuple[int, int] = (0, 1),
    is_trimmed: bool = False,
    is_sound_given: bool = False,
) -> Recording:
    part = ReleasedPart(
        clip_id=AN_ID,
        first_gop=gops[0],
        gop_count=gops[1],
        first_span=0,
        span_count=0,
        provenance="none: a test",
    )
    return Recording(
        number=1,
        manifest=manifest,
        manifest_digest="0" * 64,
        part=part,
        is_trimmed=is_trimmed,
        has_sound=has_sound,
        is_sound_given=has_sound or is_sound_given,
        file_sha256="0" * 64,
        picture_times_90k=(0,),
    )


def changed(**changes: object) -> ClipManifest:
    return msgspec.structs.replace(PLAIN, **changes)


def test_says_which_recording_it_is_when_it_was_and_what_set_it_off() -> None:
    assert facts_of(recording()) == [
        "recording number 42 of this doorbell",
        "begun 2026-09-21 14:13:20 UTC, by the doorbell's clock",
        "15.0 s of 1280 × 720",
        "here is all of it",
        "something moved at 6.0 s",
        "the bell was pressed at 8.0 s",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_clock_trusted": False}, "the doorbell's clock wasn't set"),
        ({"ended": "cut_short"}, "it ends early"),
        ({"lost_units": 7}, "7 pictures are missing"),
        ({"mask_digest": "f" * 64}, "part of the picture was masked by the owner"),
    ],
    ids=["clock", "cut short", "lost", "masked"],
)
def test_says_what_is_out_of_the_ordinary(changes: dict[str, object], words: str) -> None:
    odd = facts_of(recording(changed(**changes)))
    assert len(odd) == len(facts_of(recording())) + 1
    assert odd[-1].startswith(words)


def test_says_whether_sound_came_along_and_where_it_is_silent() -> None:
    manifest = changed(sound=SOUND)
    silent = "2.0 s of it are silent because the microphone gave no sound"
    assert facts_of(recording(manifest, has_sound=True))[-2:] == ["with sound", silent]
    assert facts_of(recording(manifest))[-1] == "recorded with sound, released without it"
    none_here = facts_of(recording(manifest, is_sound_given=True))[-1]
    assert none_here == "recorded with sound; no whole piece of its sound lies in this part"


def test_a_trim_is_said_to_be_one_even_if_it_left_all_pictures() -> None:
    assert "here is all of it" in facts_of(recording())
    told = facts_of(recording(is_trimmed=True))
    assert "a trim after the release left all of it" in told
    assert "here is all of it" not in told


@pytest.mark.parametrize(
    ("is_trimmed", "by"), [(False, "the owner gave"), (True, "a trim after the release left")]
)
def test_says_which_part_is_here_and_who_chose_it(is_trimmed: bool, by: str) -> None:
    starts = (0, 90_000, 180_000)
    gops = [Gop(first_pts_90k=start, unit_count=1, leaf="0" * 64) for start in starts]
    part = recording(changed(gops=gops), gops=(1, 1), is_trimmed=is_trimmed)
    assert f"{by} 1.0 s to 2.0 s of it (parts 2 to 2 of 3)" in facts_of(part)
