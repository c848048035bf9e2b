"""A hostile owner makes evidence with their own doorbell's key: it shows in `doorward-verify`.

They have the key, so every signature of the doorbell's holds, and they may send what they like.
What they can't do is put an entry into a log, or have witnesses sign, at a time that has passed.
Each test names what it was seen to succeed without.
"""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from firmware.protocol.custody import CaptureProof
from firmware.protocol.encoding import decode, sha256_hex
from firmware.protocol.footage import ClipManifest, SignedManifest, merkle_root
from firmware.protocol.grants import ClipRange
from firmware.protocol.tlog.proof import parse_proof
from firmware.protocol.tlog.signed_note import parse_note
from relay.verify.checks import Check, Exit, Result
from relay.verify.report import Report, check_evidence
from tests.fakes.footage import TinyCamera, clip_units
from tests.fakes.log_town import DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, Town, make_town
from tests.fakes.media import evidence_of_files
from tests.relay.evidence_files import (
    Doorbell,
    Evidence,
    Film,
    make_evidence,
    regranted,
    with_files,
)


def report_of(evidence: Evidence, files: dict[str, bytes] | None = None) -> Report:
    opened = evidence_of_files(evidence.listed() if files is None else files)
    return check_evidence(opened, evidence.given)


def flagged(report: Report, kind: Exit) -> list[Check]:
    """Return what isn't said to hold, but for what a new doorbell can't show of its age."""
    return [
        check
        for check in report.checks
        if check.kind is kind and not check.holds and check.result is not Result.NOT_SHOWN
    ]


def short() -> Film:
    return Film(1, with_sound=False)


def test_an_honest_recording_is_said_to_lie_between_two_witnessed_moments() -> None:
    report = report_of(make_evidence(film=short()))
    assert report.exit_code is Exit.HOLDS
    said = [check.detail for check in report.checks if check.kind is Exit.CAPTURE]
    assert "made between 2026-09-21 13:42:20 UTC and 2026-09-21 14:13:20 UTC" in said


@pytest.mark.parametrize("days", [1 / 12, 1, 30])
def test_a_recording_that_is_dated_back_is_back_dated_by_what_it_names(days: float) -> None:
    """Seen to hold without `begun_ms + SKEW_MS < since_ms`, where the commitment isn't late."""
    evidence = make_evidence(
        film=short(), said_ms=NOW_MS - round(days * DAY_MS), known_ms=NOW_MS - MINUTE_MS
    )
    (check,) = flagged(report_of(evidence), Exit.CAPTURE)
    assert check.result is Result.FAILS
    assert "it is back-dated" in check.detail


@pytest.mark.parametrize("days", [1 / 12, 1, 30])
def test_with_an_old_checkpoint_too_the_commitment_still_came_late(days: float) -> None:
    """Seen to hold without `COMMITTED_WITHIN_MS`. They kept a checkpoint of that day."""
    said_ms = NOW_MS - round(days * DAY_MS)
    evidence = make_evidence(film=short(), said_ms=said_ms, known_ms=said_ms - MINUTE_MS)
    report = report_of(evidence)
    assert report.exit_code is Exit.INCOMPLETE
    (check,) = flagged(report, Exit.CAPTURE)
    assert "was committed to only by 2026-09-21 14:13:20 UTC" in check.detail
    assert "that it is as old as it says isn't proven" in check.detail


def test_a_commitment_cant_be_moved_into_an_earlier_slot() -> None:
    """Seen to hold without `check_inclusion` of the slot's entry."""
    evidence = make_evidence(film=short())
    proof = decode(CaptureProof, evidence.files["capture-1.json"])
    earlier = msgspec.structs.replace(proof.record, slot=proof.record.slot - 60)
    forged = msgspec.structs.replace(proof, record=earlier).encode()
    files = evidence.listed(**{"capture-1.json": forged})
    assert any(
        check.result is Result.FAILS for check in flagged(report_of(evidence, files), Exit.CAPTURE)
    )


def test_a_commitment_to_what_was_recorded_then_proves_nothing_of_what_was_made_later() -> None:
    """Seen to hold without the comparison of `clip_commitment`.

    They have an honest commitment of that day, to another recording, and show it beside this one.
    """
    town, doorbell = make_town(), Doorbell()
    honest = town.capture_proof(device=doorbell.device, manifest_digest=sha256_hex(b"honest"))
    town.wind(days=3)
    said_ms = NOW_MS - 5 * MINUTE_MS
    evidence = make_evidence(
        town=town, doorbell=doorbell, film=short(), said_ms=said_ms, known_ms=said_ms
    )
    files = evidence.listed(**{"capture-1.json": honest.encode()})
    told = [check.detail for check in flagged(report_of(evidence, files), Exit.CAPTURE)]
    assert "another recording was committed to" in told


def test_another_doorbells_commitment_of_that_day_is_none() -> None:
    """Seen to hold without the comparison of `record.device`."""
    town, doorbell = make_town(), Doorbell()
    evidence = make_evidence(town=town, doorbell=doorbell, film=short())
    digest = sha256_hex(decode(SignedManifest, evidence.files["manifest-1.json"]).manifest.encode())
    foreign = town.capture_proof(device="b" * 20, manifest_digest=digest)
    files = evidence.listed(**{"capture-1.json": foreign.encode()})
    told = [check.detail for check in flagged(report_of(evidence, files), Exit.CAPTURE)]
    assert "another doorbell committed to it" in told


def test_what_was_never_committed_to_fails() -> None:
    """Seen to hold (for a reader without questions) without `_packed`'s demand."""
    evidence = make_evidence(film=short())
    report = report_of(evidence, evidence.listed(**{"capture-1.json": None}))
    assert report.exit_code is Exit.CAPTURE
    told = [check.detail for check in flagged(report, Exit.CAPTURE)]
    assert told == [
        "there is no capture-1.json",
        "without capture-1.json nothing says by when it was there",
    ]


def test_a_log_of_ones_own_that_is_old_is_not_believed() -> None:
    """Seen to hold without the policy: they run logs and witnesses whose clocks are put back."""
    town, own, doorbell = make_town(), make_town(now_ms=NOW_MS - DAY_MS), Doorbell()
    said_ms = NOW_MS - DAY_MS - 30 * MINUTE_MS
    evidence = make_evidence(town=town, doorbell=doorbell, film=short(), said_ms=said_ms)
    digest = sha256_hex(decode(SignedManifest, evidence.files["manifest-1.json"]).manifest.encode())
    forged = own.capture_proof(device=doorbell.device, manifest_digest=digest)
    files = evidence.listed(**{"capture-1.json": forged.encode()})
    report = report_of(evidence, files)
    assert report.exit_code is Exit.POLICY
    assert any(check.result is Result.FAILS for check in flagged(report, Exit.CAPTURE))


def test_one_witness_who_lies_about_the_time_dates_nothing_back() -> None:
    """Seen to hold with a quorum of one."""
    town, doorbell = make_town(), Doorbell()
    said_ms = NOW_MS - DAY_MS
    evidence = make_evidence(
        town=town, doorbell=doorbell, film=short(), said_ms=said_ms, known_ms=said_ms
    )
    proof = decode(CaptureProof, evidence.files["capture-1.json"])
    held = parse_proof(proof.proof.encode())
    log, size = town.custody_log, held.index + 1
    honest = parse_note(log.note(at_ms=NOW_MS, size=size, by=("east", "south")))
    liar = parse_note(log.note(at_ms=said_ms + 30 * MINUTE_MS, size=size, by=("north",)))
    note = honest.with_signatures(*liar.signatures).encode()
    forged = msgspec.structs.replace(proof, proof=replace(held, note=note).encode().decode())
    files = evidence.listed(**{"capture-1.json": forged.encode()})
    (check,) = flagged(report_of(evidence, files), Exit.CAPTURE)
    assert "was committed to only by 2026-09-21 14:13:20 UTC" in check.detail


def test_a_clock_that_is_ahead_shows_as_well() -> None:
    """Seen to hold without `ended_ms > by_ms + SKEW_MS`: an alibi for tonight, filmed at noon."""
    evidence = make_evidence(film=short(), said_ms=NOW_MS + 6 * HOUR_MS)
    (check,) = flagged(report_of(evidence), Exit.CAPTURE)
    assert check.result is Result.FAILS
    assert "its date is wrong" in check.detail


def test_a_description_that_was_signed_after_its_commitment_shows() -> None:
    """Seen to hold without `since_ms > by_ms + SKEW_MS`."""
    evidence = make_evidence(film=short(), known_ms=NOW_MS + HOUR_MS)
    (check,) = flagged(report_of(evidence), Exit.CAPTURE)
    assert check.result is Result.FAILS
    assert "after they had seen its commitment" in check.detail


def test_who_says_that_the_clock_was_wrong_gets_no_date_at_all() -> None:
    """An owner can't hide a false date behind an unset clock: then the report says no date."""
    town, doorbell, film = make_town(), Doorbell(), short()
    manifest = film.manifest(doorbell.device, started_ms=NOW_MS - DAY_MS, is_clock_trusted=False)
    report = report_of(make_evidence(town=town, doorbell=doorbell, film=film, manifest=manifest))
    told = [check.detail for check in report.checks if check.kind is Exit.CAPTURE]
    assert "there by 2026-09-21 14:13:20 UTC; since when isn't proven" in told


# --- the pictures ---


def resigned(
    evidence: Evidence, change: Callable[[ClipManifest], ClipManifest]
) -> dict[str, bytes]:
    """Return the evidence with a description that was changed and signed anew, and granted anew.

    The commitment is the one of the first description: there was no other slot.
    """
    signed = decode(SignedManifest, evidence.files["manifest-1.json"])
    manifest = change(msgspec.json.decode(signed.manifest, type=ClipManifest))
    new = evidence.doorbell.sign_manifest(manifest)
    begin_ms, end_ms = manifest.started_ms, manifest.started_ms + manifest.duration_90k // 90
    clip = ClipRange(
        clip_id=manifest.clip_id,
        manifest_digest=sha256_hex(new.manifest.encode()),
        from_ms=begin_ms,
        to_ms=end_ms,
    )
    return regranted(
        with_files(evidence, **{"manifest-1.json": new.encode()}), clips=[clip]
    ).listed()


def later(film: Film, by_90k: int) -> Film:
    """Return the film with each picture but the first moved."""
    moved = short()
    moved.units = [
        replace(unit, pts_90k=unit.pts_90k + (by_90k if unit.pts_90k else 0)) for unit in film.units
    ]
    return moved


def gops_of(film: Film) -> dict[str, object]:
    gops = film.gops().finish()
    return {"gops": gops, "video_root": merkle_root(gop.leaf for gop in gops)}


def two_gops() -> Film:
    return Film(2, with_sound=False)


def swapped(film: Film) -> Film:
    """Return the film with its two GOPs in the other order, at the times of the places."""
    half = len(film.units) // 2
    changed, units = two_gops(), [*film.units[half:], *film.units[:half]]
    changed.units = [
        replace(unit, pts_90k=old.pts_90k) for unit, old in zip(units, film.units, strict=True)
    ]
    return changed


def spliced(film: Film) -> Film:
    """Return the film with the second GOP of another one."""
    half, camera = len(film.units) // 2, TinyCamera()
    camera.film(3)
    other, changed = clip_units(camera.film(1)), two_gops()
    moved = [
        replace(unit, pts_90k=old.pts_90k)
        for unit, old in zip(other, film.units[half:], strict=True)
    ]
    changed.units = [*film.units[:half], *moved]
    return changed


@pytest.mark.parametrize("make", [swapped, spliced], ids=["in another order", "of another film"])
def test_spliced_pictures_show(make: Callable[[Film], Film]) -> None:
    """Seen to hold without `check_part`: the description is the honest one."""
    film = two_gops()
    evidence = make_evidence(film=film)
    files = evidence.listed(**{"clip-1.mp4": make(film).mp4()})
    assert Exit.PICTURES in {
        check.kind for check in flagged(report_of(evidence, files), Exit.PICTURES)
    }


def test_retimed_pictures_show() -> None:
    """Seen to hold without the times in a leaf."""
    film = short()
    evidence = make_evidence(film=film)
    files = evidence.listed(**{"clip-1.mp4": later(film, 3000).mp4()})
    assert flagged(report_of(evidence, files), Exit.PICTURES)


@pytest.mark.parametrize(
    "change",
    [
        lambda film: gops_of(spliced(film)),
        lambda film: gops_of(swapped(film)),
        lambda _: {"started_ms": NOW_MS - 45 * MINUTE_MS},
        lambda _: {"counter": 6},
        lambda _: {"is_clock_trusted": False},
        lambda _: {"ended": "cut_short"},
    ],
    ids=["spliced", "swapped", "dated anew", "a number less", "no clock", "cut short"],
)
def test_what_is_described_and_signed_anew_was_not_committed_to(
    change: Callable[[Film], dict[str, object]],
) -> None:
    """Seen to hold without the comparison of `clip_commitment`."""
    film = two_gops()
    evidence = make_evidence(film=film)
    files = resigned(evidence, lambda old: msgspec.structs.replace(old, **change(film)))
    told = [check.detail for check in flagged(report_of(evidence, files), Exit.CAPTURE)]
    assert "another recording was committed to" in told


def test_signed_anew_with_a_commitment_of_its_own_it_came_late() -> None:
    """Seen to hold without `COMMITTED_WITHIN_MS`: the next slot takes any, but says when."""
    town, film = make_town(), two_gops()
    evidence = make_evidence(town=town, film=film)
    town.wind(days=2)
    files = resigned(evidence, lambda old: msgspec.structs.replace(old, **gops_of(spliced(film))))
    digest = sha256_hex(decode(SignedManifest, files["manifest-1.json"]).manifest.encode())
    capture = town.capture_proof(device=evidence.doorbell.device, manifest_digest=digest)
    forged = {"capture-1.json": capture.encode(), "clip-1.mp4": spliced(film).mp4()}
    files = relisted(evidence, files, town, forged)
    report = report_of(evidence, files)
    assert not flagged(report, Exit.PICTURES)
    (check,) = flagged(report, Exit.CAPTURE)
    assert "47 hours later" in check.detail or "2 days later" in check.detail


def relisted(
    evidence: Evidence, files: dict[str, bytes], town: Town, forged: dict[str, bytes]
) -> dict[str, bytes]:
    """Return the files with forged ones, and the doorbell's own signature over the list of them."""
    grant = sha256_hex(msgspec.json.decode(files["grant.json"])["statement"].encode())
    plain = {name: data for name, data in (files | forged).items() if name != "contents.json"}
    return replace(evidence, town=town, files=plain, grant_digest=grant).listed()
