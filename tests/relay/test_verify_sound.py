"""Evidence with sound: there only if it was given, the very sound that was signed, or none."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import convert

from firmware.clips.fragment import SoundUnit
from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.footage import (
    SignedManifest,
    SoundHasher,
    SoundTrack,
    check_manifest,
)
from relay.verify.checks import Exit, Result
from relay.verify.facts import facts_of
from relay.verify.report import Report, check_evidence
from tests.fakes.media import access_units, evidence_of_files, sound_units
from tests.relay.evidence_files import Doorbell, Film, make_evidence

VECTOR = json.loads((Path(__file__).parents[1] / "vectors/sound.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def film() -> Film:
    return Film()


def look(film: Film, mp4: bytes, *, is_given: bool) -> Report:
    """Check a recording that the doorbell signed as it was filmed, with another file in place."""
    evidence = make_evidence(film=film, has_audio=is_given)
    files = evidence.listed(**{"clip-1.mp4": mp4})
    return check_evidence(evidence_of_files(files), evidence.given)


def found_out(report: Report) -> str:
    """Return why the sound fails; nothing else does."""
    (failed,) = (check for check in report.checks if check.result is Result.FAILS)
    assert failed.kind is Exit.SOUND
    return failed.detail


def test_given_sound_is_checked_and_named(film: Film) -> None:
    report = look(film, film.mp4(), is_given=True)
    assert report.exit_code is Exit.HOLDS
    assert "with sound" in facts_of(report.recordings[0])


def test_a_release_without_its_sound_verifies_and_says_so(film: Film) -> None:
    report = look(film, film.mp4([]), is_given=False)
    assert report.exit_code is Exit.HOLDS
    assert "recorded with sound, released without it" in facts_of(report.recordings[0])


def swapped(film: Film) -> bytes:
    sound = list(film.sound)
    sound[40] = SoundUnit(pts_90k=sound[40].pts_90k, data=sound[41].data)
    return film.mp4(sound)


def shifted(film: Film) -> bytes:
    return with_edit(film.mp4(), 1024 + 4800)


def with_edit(mp4: bytes, begin: int) -> bytes:
    """The same clip with another moment of its sound at the clip's begin."""
    at = mp4.rindex(b"elst") + 16
    assert struct.unpack_from(">i", mp4, at) == (1024,)
    return mp4[:at] + struct.pack(">i", begin) + mp4[at + 4 :]


@pytest.mark.parametrize(
    ("alter", "is_given", "reason"),
    [
        (swapped, True, "the sound differs from what was signed"),
        (shifted, True, "the sound lies at another time than was signed"),
        (lambda film: film.mp4(film.sound[:-1]), True, "the sound differs from what was signed"),
        (lambda film: film.mp4([]), True, "its sound was given, and is missing"),
        (lambda film: film.mp4(), False, "it has sound, which the owner didn't give"),
        (lambda film: with_edit(film.mp4(), -1), True, "cut or shifted by its edit list"),
    ],
)
def test_other_sound_than_was_signed_and_given_is_found_out(
    film: Film, alter: Callable[[Film], bytes], is_given: bool, reason: str
) -> None:
    assert reason in found_out(look(film, alter(film), is_given=is_given))


def test_sound_where_none_was_recorded_is_found_out(film: Film) -> None:
    silent = Film(with_sound=False)
    silent.units = film.units
    report = look(silent, film.mp4(), is_given=True)
    assert "the doorbell recorded none" in found_out(report)


@pytest.mark.parametrize(("at", "byte"), [(36, 0x90), (39, 0x80), (17, 0x6B)])
def test_sound_that_would_be_played_as_another_kind_is_refused(at: int, byte: int) -> None:
    mp4 = bytearray(unb64u(VECTOR["plain_mp4"]))  # stereo, with SBR, or MP3
    esds = mp4.index(b"esds") + 4
    mp4[esds + at] = byte
    mp4[esds + 26 : esds + 28] = b"\x11\x88"  # in the bit rate, where it says nothing
    with pytest.raises(WireError, match="isn't AAC-LC, mono, 48 kHz"):
        sound_units(bytes(mp4))


def test_a_track_more_than_film_and_sound_is_refused(film: Film) -> None:
    mp4 = film.mp4().replace(b"vide", b"soun", 1)
    with pytest.raises(WireError, match="more in it than one film and its sound"):
        access_units(mp4)


def test_any_cut_of_a_clip_with_sound_is_an_error_in_words(film: Film) -> None:
    mp4 = film.mp4()
    for size in range(0, len(mp4) - 8, 211):
        try:
            assert sound_units(mp4[:size]) != sound_units(mp4)
        except WireError:
            continue


def test_the_golden_clip_gives_its_signed_sound() -> None:
    signed = convert(VECTOR["signed"], SignedManifest)
    manifest = check_manifest(signed, unb64u(VECTOR["identity_key"]))
    hasher = SoundHasher()
    for unit in sound_units(unb64u(VECTOR["plain_mp4"])) or []:
        hasher.add(unit.pts_90k, unit.data)
    assert hasher.finish(lost_90k=0) == manifest.sound_track
    assert sound_units(unb64u(VECTOR["without_sound"])) is None


def test_a_manifest_whose_sound_root_is_another_is_refused(film: Film) -> None:
    track, doorbell = film.track(), Doorbell()
    assert track is not None
    lying = SoundTrack(lost_90k=0, spans=track.spans[:-1], root=track.root)
    manifest = film.manifest(doorbell.device, sound=lying)
    evidence = make_evidence(doorbell=doorbell, film=film, manifest=manifest, has_audio=True)
    report = check_evidence(evidence_of_files(evidence.listed()), evidence.given)
    assert report.exit_code is Exit.DEVICE
