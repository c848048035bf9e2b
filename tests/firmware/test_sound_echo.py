"""firmware.sound.echo: both cancellers, with two spoken voices, one by one and both at once.

The thresholds are below what tests/rigs/echo.py measures (docs/decisions/0020-sound.md).
"""

import asyncio
import ctypes.util
import shutil

import numpy as np
import pytest

from firmware.sound.echo import MARGIN_SAMPLES, Echo, EchoCanceller, choose_canceller
from firmware.sound.echo_livekit import LiveKitCanceller
from firmware.sound.echo_reference import EchoReference
from firmware.sound.echo_speex import SpeexCanceller
from firmware.sound.errors import SoundMissing
from firmware.sound.frames import FRAME_SAMPLES, SILENCE
from firmware.sound.sample_clock import Placed
from tests.fakes.sound import tone
from tests.rigs import echo as rig

MISSING = ", ".join(
    f"{what} (apt: {package})"
    for what, package, found in (
        ("espeak-ng", "espeak-ng", shutil.which("espeak-ng")),
        ("libspeexdsp", "libspeexdsp1", ctypes.util.find_library("speexdsp")),
    )
    if found is None
)
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {MISSING}")


@pytest.fixture(scope="module")
def spoken():
    return asyncio.run(rig.voices(12))


class Remembering:
    """A canceller that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[bytes] = []

    def cancel(self, near: bytes, far: bytes) -> bytes:
        self.told.append(far)
        return near


def test_livekit_takes_the_echo_out_and_leaves_a_visitor_alone(spoken) -> None:
    got = rig.score(LiveKitCanceller, *spoken, echo_db=0)
    assert got.early_db > 15
    assert got.settled_db > 30
    assert got.stoi_alone > 0.97
    assert got.stoi_out > 0.45


def test_livekit_takes_out_the_echo_of_a_speaker_that_distorts(spoken) -> None:
    assert rig.score(LiveKitCanceller, *spoken, echo_db=10, is_clipped=True).settled_db > 30


def test_speex_takes_the_echo_out_and_keeps_a_visitor_who_speaks_too(spoken) -> None:
    got = rig.score(SpeexCanceller, *spoken, echo_db=0)
    assert got.settled_db > 15
    assert got.stoi_out > 0.9
    assert got.stoi_out > got.stoi_in + 0.1
    assert got.stoi_alone > 0.97


def test_without_a_canceller_nothing_is_gained(spoken) -> None:
    got = rig.score(None, *spoken, echo_db=0)
    assert abs(got.settled_db) < 0.5
    assert got.stoi_out == pytest.approx(got.stoi_in, abs=0.01)


@pytest.mark.parametrize("late_ms", [-25, 60])
def test_the_cards_times_may_be_off(spoken, late_ms: int) -> None:
    """An echo that seems to come before its sound, as with a sound server's first times."""
    visitor, talker = spoken
    echo = rig.scene(visitor, talker, echo_db=0).echo
    moved = np.roll(echo, (late_ms - 45) * 48)
    for make in (LiveKitCanceller, SpeexCanceller):
        out, _ = rig.through(make, talker, moved)
        assert rig._reduction_db(moved[300_000 : len(out)], out[300_000:]) > 12


def echo_of(canceller: EchoCanceller | None) -> tuple[Echo, EchoReference]:
    played = EchoReference()
    echo = Echo(played, None if canceller is None else lambda: canceller)
    echo.prepare()
    return echo, played


def test_the_canceller_is_told_a_little_ahead_by_the_sample() -> None:
    canceller = Remembering()
    echo, played = echo_of(canceller)
    said = tone(440, FRAME_SAMPLES * 10)
    played.put(Placed(index=100_000, samples=said), is_silent=False)
    echo.cancel(101_001, SILENCE)
    at = (1001 + MARGIN_SAMPLES) * 2
    assert canceller.told == [said[at : at + FRAME_SAMPLES * 2]]


def test_the_canceller_costs_nothing_while_nobody_talks() -> None:
    canceller = Remembering()
    echo, played = echo_of(canceller)
    assert echo.cancel(0, SILENCE) == SILENCE
    played.put(Placed(index=100_000, samples=SILENCE * 100), is_silent=True)
    echo.cancel(110_000, SILENCE)
    played.put(Placed(index=196_000, samples=tone(440, FRAME_SAMPLES)), is_silent=False)
    echo.cancel(196_000 + 48_000 + FRAME_SAMPLES * 3, SILENCE)
    assert canceller.told == []
    echo.cancel(196_000 + 40_000, SILENCE)
    assert len(canceller.told) == 1


def test_auto_takes_the_best_that_is_there_and_none_is_none() -> None:
    assert choose_canceller("auto") is LiveKitCanceller
    assert choose_canceller("speex") is SpeexCanceller
    assert choose_canceller("none") is None
    assert echo_of(None)[0].can_cancel is False


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", no_library)
    with pytest.raises(SoundMissing, match="apt install libspeexdsp1"):
        choose_canceller("speex")


def test_a_canceller_that_cannot_be_made_leaves_one_side_at_a_time() -> None:
    def make() -> EchoCanceller:
        raise RuntimeError("no memory")

    echo = Echo(EchoReference(), make)
    assert echo.can_cancel
    echo.prepare()
    assert not echo.can_cancel
    assert echo.cancel(0, SILENCE) == SILENCE


def no_library(name: str) -> None:
    raise OSError(f"{name}: cannot open shared object file")


def test_speex_refuses_a_frame_of_another_size() -> None:
    with pytest.raises(ValueError, match="1920 bytes"):
        SpeexCanceller().cancel(SILENCE, SILENCE[2:])
