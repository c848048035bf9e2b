"""The encoder of clips' sound: every sample at its moment, whatever the microphone leaves out."""

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.protocol.footage import SOUND_UNIT_90K
from firmware.sound.aac import SILENT_UNIT, UNIT_SAMPLES, AacEncoder, ClipEncoder
from firmware.sound.frames import FRAME_90K, FRAME_SAMPLES, SILENCE, SoundFrame
from tests.fakes.heard import tone

BEGIN_90K = 90_000_000


def decoded(units: list[bytes]) -> np.ndarray:
    """What a decoder gives after the first unit, which only primes it."""
    decoder = av.CodecContext.create("aac", "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.extradata = bytes.fromhex("1188")
    decoder.sample_rate = 48_000
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit))]
    frames += decoder.decode(None)
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    assert samples.size == len(units) * UNIT_SAMPLES
    return samples[UNIT_SAMPLES:]


def encoded(
    frames: list[SoundFrame], begin_90k: int = BEGIN_90K
) -> tuple[ClipEncoder, list[bytes]]:
    encoder = ClipEncoder(begin_90k)
    units = [unit for frame in frames for unit in encoder.add(frame)]
    return encoder, units + encoder.finish()


def original(frames: list[SoundFrame]) -> np.ndarray:
    return np.frombuffer(b"".join(frame.samples for frame in frames), "<i2") / 32768


def likeness(heard: np.ndarray, said: np.ndarray) -> float:
    size = min(heard.size, said.size)
    return float(np.corrcoef(heard[:size], said[:size])[0, 1])


def test_what_is_decoded_is_what_was_said_sample_for_sample() -> None:
    rng = np.random.default_rng(1)
    said = np.cumsum(rng.normal(0, 200, 48_000)).astype("<i2")
    frames = [
        SoundFrame(
            pts_90k=BEGIN_90K + n * FRAME_90K,
            samples=said[n * FRAME_SAMPLES : (n + 1) * FRAME_SAMPLES].tobytes(),
        )
        for n in range(50)
    ]
    encoder, units = encoded(frames)
    assert encoder.lost_90k == 0
    assert likeness(decoded(units), said / 32768) > 0.99
    assert likeness(decoded(units)[1:], said / 32768) < likeness(decoded(units), said / 32768)


def test_the_silent_unit_is_what_the_encoder_makes_of_silence_and_decodes_to_it() -> None:
    encoder = AacEncoder()
    units = [unit for _ in range(8) for unit in encoder.encode(bytes(2 * UNIT_SAMPLES))]
    assert units[-1] == SILENT_UNIT
    assert not decoded([SILENT_UNIT] * 4).any()


def test_sound_from_before_the_clip_is_cut_at_its_first_picture() -> None:
    frames = tone(BEGIN_90K - 750, 1)
    _, units = encoded(frames)
    said = original(frames)[750 * 8 // 15 :]
    assert likeness(decoded(units)[: said.size - 2048], said) > 0.999


@pytest.mark.parametrize("late_90k", [300, 90_000, 40 * 90_000])
def test_sound_that_begins_late_begins_at_its_moment(late_90k: int) -> None:
    frames = tone(BEGIN_90K + late_90k, 1)
    encoder, units = encoded(frames)
    assert encoder.lost_90k == pytest.approx(late_90k, abs=2)
    heard = decoded(units)
    first = int(np.flatnonzero(np.abs(heard) > 0.05)[0])
    assert first == pytest.approx(late_90k * 8 // 15, abs=200)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 150)), min_size=1, max_size=5))
def test_a_hole_of_any_length_shifts_nothing(parts: list[tuple[int, int]]) -> None:
    """Each part is a few frames of a tone and a hole of some frames behind it."""
    frames: list[SoundFrame] = []
    at_90k, lost_90k = BEGIN_90K, 0
    for number, (spoken, hole) in enumerate(parts):
        frames += tone(at_90k, spoken * FRAME_SAMPLES / 48_000)
        at_90k += (spoken + hole) * FRAME_90K
        lost_90k += hole * FRAME_90K if number + 1 < len(parts) else 0
    encoder, units = encoded(frames)
    # A hole of one frame is within what is let pass, and is mended with the next.
    assert encoder.lost_90k == pytest.approx(lost_90k, abs=FRAME_90K * len(parts))
    end_90k = frames[-1].pts_90k + FRAME_90K - BEGIN_90K
    assert (len(units) - 1) * SOUND_UNIT_90K == pytest.approx(end_90k, abs=2 * SOUND_UNIT_90K)
    heard = decoded(units)
    last = frames[-1]
    begin = (last.pts_90k - BEGIN_90K) * 8 // 15
    loudest = float(np.abs(heard[begin - 960 : begin + 1920]).max())
    assert loudest > 0.2


def test_frames_that_repeat_what_was_said_are_left_out() -> None:
    frames = tone(BEGIN_90K, 0.5)
    encoder, units = encoded(frames + frames + tone(BEGIN_90K + 25 * FRAME_90K, 0.5))
    assert encoder.lost_90k == 0
    assert (len(units) - 1) * SOUND_UNIT_90K == pytest.approx(90_000, abs=2 * SOUND_UNIT_90K)


def test_a_card_whose_drift_nobody_mends_is_never_off_by_more_than_a_frame() -> None:
    """200 millionths for two minutes; `SampleClock` does better, and this is what is behind it."""
    encoder = ClipEncoder(BEGIN_90K)
    count = 0
    for number in range(6000):
        pts_90k = BEGIN_90K + round(number * FRAME_90K * 1.0002)
        count += len(encoder.add(SoundFrame(pts_90k=pts_90k, samples=SILENCE)))
        end_90k = pts_90k + FRAME_90K - BEGIN_90K
        assert abs(count * SOUND_UNIT_90K - end_90k) <= FRAME_90K + 2 * SOUND_UNIT_90K + 100
    assert encoder.lost_90k > 0


def test_a_frame_that_claims_another_day_is_left_out() -> None:
    encoder = ClipEncoder(BEGIN_90K)
    assert encoder.add(SoundFrame(pts_90k=BEGIN_90K + 90_000 * 86_400, samples=SILENCE)) == []
    assert encoder.lost_90k == 0
