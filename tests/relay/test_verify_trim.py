"""`doorward-verify trim`: whole parts, rounded inwards, and what is left still verifies."""

import io
import itertools
from pathlib import Path

import av
import pytest

from firmware.protocol.encoding import WireError, decode
from firmware.protocol.media.rotation import Rotation
from firmware.protocol.released_part import ReleasedPart
from relay.verify.checks import Exit, Result
from relay.verify.cli import main
from relay.verify.facts import facts_of
from relay.verify.report import Report, check_evidence
from tests.fakes.footage import HEIGHT, WIDTH
from tests.fakes.media import access_units, evidence_of_files, sound_units
from tests.fakes.media import trim_files as trim
from tests.fakes.media import written_mp4 as plain_mp4
from tests.relay.evidence_files import Evidence, Film, make_evidence
from tests.vectors.make_sound import units_of_sound

SECONDS = 6


def film() -> Film:
    filmed = Film(SECONDS, with_sound=False)
    filmed.sound = units_of_sound(SECONDS)
    return filmed


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return make_evidence(film=film(), has_audio=True)


@pytest.fixture(scope="module")
def partly_given() -> Evidence:
    return make_evidence(film=film(), has_audio=True, given_s=(0.9, 5.2))


def looked_at(evidence: Evidence, files: dict[str, bytes]) -> Report:
    return check_evidence(evidence_of_files(files), evidence.given)


def test_a_trimmed_clip_holds_whole_parts_inside_the_seconds_and_verifies(evidence) -> None:
    trimmed = trim(evidence.listed(), 1, from_s=1.5, to_s=4.6)
    assert (trimmed.part.first_gop, trimmed.part.gop_count) == (2, 2)
    assert (round(trimmed.begin_s), round(trimmed.end_s)) == (2, 4)
    report = looked_at(evidence, trimmed.files)
    assert report.exit_code is Exit.HOLDS
    (recording,) = report.recordings
    assert recording.is_trimmed
    assert recording.has_sound


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_film_that_is_shown_turned_stays_so_when_it_is_trimmed(rotation: Rotation) -> None:
    evidence = make_evidence(film=film().turned(rotation), has_audio=True)
    assert looked_at(evidence, evidence.listed()).exit_code is Exit.HOLDS
    trimmed = trim(evidence.listed(), 1, from_s=1.5, to_s=4.6)
    report = looked_at(evidence, trimmed.files)
    assert report.exit_code is Exit.HOLDS
    assert any(f"of {HEIGHT} × {WIDTH}" in fact for fact in facts_of(*report.recordings)) == (
        rotation != 180
    )


def test_a_part_that_was_released_can_be_trimmed_further(partly_given: Evidence) -> None:
    released = decode(ReleasedPart, partly_given.files["part-1.json"])
    trimmed = trim(partly_given.listed(), 1, from_s=0.5, to_s=2.5)
    assert trimmed.part.first_gop == released.first_gop + 1
    assert looked_at(partly_given, trimmed.files).exit_code is Exit.HOLDS
    again = trim(trimmed.files, 1, from_s=0, to_s=99)
    assert again.files["clip-1.mp4"] == trimmed.files["clip-1.mp4"]


def test_every_cut_of_it_verifies(evidence: Evidence) -> None:
    for begin, end in itertools.combinations(range(SECONDS + 1), 2):
        files = trim(evidence.listed(), 1, from_s=begin - 0.1 if begin else 0, to_s=end + 0.1).files
        assert looked_at(evidence, files).exit_code is Exit.HOLDS


def test_a_player_shows_it_whole_and_in_step(evidence: Evidence) -> None:
    trimmed = trim(evidence.listed(), 1, from_s=1.9, to_s=5.1)
    with av.open(io.BytesIO(trimmed.files["clip-1.mp4"])) as container:
        pictures = [frame.time for frame in container.decode(video=0)]
    with av.open(io.BytesIO(trimmed.files["clip-1.mp4"])) as container:
        heard = [frame.time for frame in container.decode(audio=0)]
    assert len(pictures) == 30
    assert (pictures[0], round(pictures[-1], 1)) == (0, 2.9)
    begin_90k = evidence_gop(evidence, trimmed.part.first_gop)
    units = sound_units(trimmed.files["clip-1.mp4"]) or []
    assert abs(heard[0] - units[0].pts_90k / 90_000) < 0.001
    assert (units[0].pts_90k + begin_90k) % 1920 == 0


def evidence_gop(evidence: Evidence, number: int) -> int:
    report = looked_at(evidence, evidence.listed())
    return report.recordings[0].manifest.gops[number].first_pts_90k


def test_nothing_of_what_was_cut_is_left_in_the_file(evidence: Evidence) -> None:
    whole = access_units(evidence.files["clip-1.mp4"])
    trimmed = trim(evidence.listed(), 1, from_s=1.9, to_s=3.1).files["clip-1.mp4"]
    kept = {nal for unit in access_units(trimmed) for nal in unit.nal_units}
    cut = {nal for unit in whole for nal in unit.nal_units} - kept
    assert len(cut) >= 50
    assert not any(nal in trimmed for nal in cut if len(nal) > 16)


@pytest.mark.parametrize(("begin", "end"), [(1.2, 1.8), (3, 3), (4, 2), (-1, 3), (50, 60)])
def test_seconds_that_hold_no_whole_part_are_refused_in_words(evidence, begin, end) -> None:
    with pytest.raises(WireError, match=r"part|parts|longer"):
        trim(evidence.listed(), 1, from_s=begin, to_s=end)


def test_an_altered_recording_is_not_trimmed(evidence: Evidence) -> None:
    files = evidence.listed()
    mp4 = bytearray(files["clip-1.mp4"])
    mp4[-100] ^= 1
    with pytest.raises(WireError):
        trim(files | {"clip-1.mp4": bytes(mp4)}, 1, from_s=0, to_s=3)


def test_a_trim_cannot_bring_back_what_the_owner_kept(partly_given: Evidence) -> None:
    files = trim(partly_given.listed(), 1, from_s=0, to_s=2.5).files
    part = decode(ReleasedPart, files["trim-1.json"])
    wider = ReleasedPart(
        clip_id=part.clip_id,
        first_gop=0,
        gop_count=part.gop_count + 1,
        first_span=0,
        span_count=part.span_count,
        provenance=part.provenance,
    )
    report = looked_at(partly_given, files | {"trim-1.json": wider.encode()})
    assert report.exit_code is Exit.GRANT


def test_a_byte_more_in_a_trimmed_file_is_found(evidence: Evidence) -> None:
    files = trim(evidence.listed(), 1, from_s=0, to_s=3).files
    files["clip-1.mp4"] += b"\0\0\0\x09free!"
    report = looked_at(evidence, files)
    assert report.exit_code is Exit.PICTURES
    assert any("more than its pictures" in check.detail for check in report.checks)


def test_calling_a_clip_trimmed_hides_no_change_of_another_file(evidence: Evidence) -> None:
    files = trim(evidence.listed(), 1, from_s=0, to_s=3).files
    files["grant.json"] = files["grant.json"] + b" "
    failed = {c.kind for c in looked_at(evidence, files).checks if c.result is Result.FAILS}
    assert failed == {Exit.PACKAGE}


def test_the_command_writes_a_folder_that_verifies(evidence, tmp_path: Path, capsys) -> None:
    written = evidence.write(tmp_path)
    out = tmp_path / "trimmed"
    words = ["trim", str(written.opened / "clip-1.mp4"), "--from", "1", "--to", "4.5"]
    assert main([*words, "--out", str(out)]) == 0
    assert "whole parts that lie inside" in capsys.readouterr().out
    assert written.verify(out) == 0
    assert "a trim after the release left" in capsys.readouterr().out
    assert main([*words, "--out", str(out)]) == Exit.USAGE  # never over what is there


def test_the_writer_gives_the_same_bytes_again_and_what_a_player_reads(evidence) -> None:
    mp4 = evidence.files["clip-1.mp4"]
    units, sound = access_units(mp4), sound_units(mp4) or []
    written = plain_mp4(units, sound, width=WIDTH, height=HEIGHT)
    assert written == plain_mp4(units, sound, width=WIDTH, height=HEIGHT)
    assert access_units(written) == units
    assert sound_units(written) == sound
