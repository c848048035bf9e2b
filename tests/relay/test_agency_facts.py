"""What an agency reads about a recording: the ordinary, and all that is out of the ordinary."""

import msgspec
import pytest

from firmware.protocol.footage import NO_MASK_DIGEST, ClipManifest, ClipTrigger, Gop
from relay.agency.facts import facts_of

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


def test_says_which_recording_it_is_when_it_was_and_what_set_it_off() -> None:
    assert facts_of(PLAIN, has_sound=False) == [
        "recording number 42 of this doorbell",
        "begun 2026-09-21 14:13:20 UTC, by the doorbell's clock",
        "15.0 s of 1280 × 720",
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
    odd = facts_of(msgspec.structs.replace(PLAIN, **changes), has_sound=False)
    assert len(odd) == len(facts_of(PLAIN, has_sound=False)) + 1
    assert odd[-1].startswith(words)
