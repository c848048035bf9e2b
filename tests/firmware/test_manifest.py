"""The doorbell's signed word on a clip."""

import pytest

from firmware.capture.packets import AccessUnit
from firmware.clips.record import ClipEnd, ClipStart
from firmware.evidence.manifest import ManifestSigner
from firmware.protocol.encoding import WireError, new_id
from firmware.protocol.footage import (
    ClipTrigger,
    GopHasher,
    SignedManifest,
    check_manifest,
    split_annex_b,
)
from tests.fakes.footage import SoftSigner, TinyCamera

DEVICE = "abcdefghijklmnop2345"


def described(units: list[AccessUnit]) -> tuple[ClipStart, ClipEnd]:
    hasher = GopHasher()
    for unit in units:
        hasher.add(unit.pts_90k - units[0].pts_90k, unit.is_key, split_annex_b(unit.data))
    trigger = ClipTrigger(event_id=new_id(), kind="pressed", at_90k=45_000)
    start = ClipStart(
        clip_id=new_id(),
        boot_id=new_id(),
        started_ms=1_790_000_000_000,
        is_clock_trusted=True,
        width=96,
        height=64,
        pre_roll_90k=45_000,
        triggers=[trigger],
    )
    end = ClipEnd(duration_90k=180_000, gops=hasher.finish(), ended="complete", size_bytes=1)
    return start, end


def test_a_manifest_says_what_was_recorded_and_holds_under_the_doorbells_key() -> None:
    signer = SoftSigner()
    start, end = described(TinyCamera().film(2))
    manifest = check_manifest(ManifestSigner(signer, DEVICE).sign(start, end), signer.spki)
    assert (manifest.clip_id, manifest.device, manifest.boot_id) == (
        start.clip_id,
        DEVICE,
        start.boot_id,
    )
    assert manifest.gops == end.gops
    assert manifest.triggers == start.triggers
    assert (manifest.pre_roll_90k, manifest.duration_90k) == (45_000, 180_000)


def test_another_doorbells_key_refutes_it() -> None:
    start, end = described(TinyCamera().film(1))
    signed = ManifestSigner(SoftSigner(), DEVICE).sign(start, end)
    with pytest.raises(WireError, match="isn't signed by this doorbell"):
        check_manifest(signed, SoftSigner().spki)


def test_one_changed_character_refutes_it() -> None:
    signer = SoftSigner()
    start, end = described(TinyCamera().film(1))
    signed = ManifestSigner(signer, DEVICE).sign(start, end)
    altered = signed.manifest.replace('"complete"', '"cut_short"')
    with pytest.raises(WireError, match="isn't signed by this doorbell"):
        check_manifest(SignedManifest(manifest=altered, signature=signed.signature), signer.spki)
