"""The doorbell's signed word on a clip."""

import io
import json
from pathlib import Path

import av
import msgspec
import pytest
from msgspec import convert

from firmware.capture.camera_output import AccessUnit
from firmware.clips.clip_cutter import SILENT_90K
from firmware.clips.clip_span import clip_span_of
from firmware.clips.record import ClipEnd, ClipStart
from firmware.clips.ring import LONGEST_GOP_S
from firmware.evidence.manifest import ManifestSigner
from firmware.protocol.encoding import WireError, b64u, decode, new_id, unb64u
from firmware.protocol.footage import (
    LONGEST_CLIP_90K,
    LONGEST_PRE_ROLL_90K,
    MANIFEST_TAG,
    ClipManifest,
    ClipTrigger,
    GopHasher,
    SignedManifest,
    check_manifest,
    merkle_root,
)
from firmware.protocol.media.rotation import ROTATIONS, Rotation
from firmware.protocol.nal_units import split_annex_b, split_length_prefixed
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
        counter=7,
        started_ms=1_790_000_000_000,
        is_clock_trusted=True,
        width=96,
        height=64,
        pre_roll_90k=45_000,
        mask_digest="ab" * 32,
        triggers=[trigger],
    )
    end = ClipEnd(
        duration_90k=180_000,
        gops=hasher.finish(),
        ended="complete",
        lost_units=3,
        size_bytes=1,
    )
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
    assert (manifest.counter, manifest.lost_units) == (7, 3)
    assert manifest.mask_digest == "ab" * 32


def test_a_manifest_names_the_checkpoint_that_was_known_when_the_clip_began() -> None:
    signer = SoftSigner()
    start, end = described(TinyCamera().film(1))
    plain = check_manifest(ManifestSigner(signer, DEVICE).sign(start, end), signer.spki)
    assert plain.witnessed_note is None
    start = msgspec.structs.replace(start, witnessed="lakeland/register\n")
    named = check_manifest(ManifestSigner(signer, DEVICE).sign(start, end), signer.spki)
    assert named.witnessed_note == b"lakeland/register\n"


def test_another_doorbells_key_refutes_it() -> None:
    start, end = described(TinyCamera().film(1))
    signed = ManifestSigner(SoftSigner(), DEVICE).sign(start, end)
    with pytest.raises(WireError, match="isn't signed by this doorbell"):
        check_manifest(signed, SoftSigner().spki)


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_a_manifest_says_by_how_much_its_pictures_are_turned(rotation: Rotation) -> None:
    signer = SoftSigner()
    start, end = described(TinyCamera().film(2))
    start = msgspec.structs.replace(start, rotation=rotation)
    signed = ManifestSigner(signer, DEVICE).sign(start, end)
    manifest = check_manifest(signed, signer.spki)
    assert manifest.shown_rotation == rotation
    assert manifest.shown_size == ((96, 64) if rotation % 180 == 0 else (64, 96))
    assert ("rotation" in json.loads(signed.manifest)) == (rotation != 0)


@pytest.mark.parametrize("rotation", [0, 45, -90, 360, "90", None])
def test_a_manifest_turns_by_right_angles_only(rotation: object) -> None:
    start, end = described(TinyCamera().film(2))
    plain = json.loads(ManifestSigner(SoftSigner(), DEVICE).sign(start, end).manifest)
    with pytest.raises(WireError):
        decode(ClipManifest, json.dumps(plain | {"rotation": rotation}).encode())


def test_one_changed_character_refutes_it() -> None:
    signer = SoftSigner()
    start, end = described(TinyCamera().film(1))
    signed = ManifestSigner(signer, DEVICE).sign(start, end)
    altered = signed.manifest.replace('"complete"', '"cut_short"')
    with pytest.raises(WireError, match="isn't signed by this doorbell"):
        check_manifest(SignedManifest(manifest=altered, signature=signed.signature), signer.spki)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"duration_90k": LONGEST_CLIP_90K + 1}, "a longer clip than a doorbell makes"),
        ({"pre_roll_90k": LONGEST_PRE_ROLL_90K + 1}, "more before the first trigger"),
        ({"duration_90k": 80_000}, "don't follow each other up to its end"),
    ],
    ids=["too long", "too early", "shorter than its parts"],
)
def test_times_that_no_doorbell_makes_refute_it(changes: dict[str, int], words: str) -> None:
    signer = SoftSigner()
    manifest = ManifestSigner(signer, DEVICE).build(*described(TinyCamera().film(2)))
    text = msgspec.structs.replace(manifest, **changes).encode()
    signature = b64u(signer.sign(MANIFEST_TAG + text))
    with pytest.raises(WireError, match=words):
        check_manifest(SignedManifest(manifest=text.decode(), signature=signature), signer.spki)


def test_the_longest_that_settings_can_give_is_taken_here_and_in_a_browser() -> None:
    """Seen to fail at 300 s: a silence before the last picture counts twice (`Footage.end`)."""
    reach = clip_span_of(
        pre_roll_s=30, post_roll_s=120, longest_s=120
    )  # the most that config takes
    last_key_90k = reach.split_90k + round(LONGEST_GOP_S * 90_000)
    silence_90k = reach.post_roll_90k + SILENT_90K
    assert last_key_90k + 2 * silence_90k <= LONGEST_CLIP_90K
    script = Path(__file__).parents[2] / "relay/web/static/js/protocol/footage.js"
    seconds = LONGEST_CLIP_90K // 90_000
    assert f"const LONGEST_CLIP_90K = {seconds} * 90_000;" in script.read_text("utf-8")


VECTOR = json.loads((Path(__file__).parents[1] / "vectors/footage.json").read_text("utf-8"))
Unit = tuple[int, bool, list[bytes]]


def units_of_mp4(data: bytes) -> list[Unit]:
    """Read one by FFmpeg, which has no part in what made the doorbell's files."""
    with av.open(io.BytesIO(data)) as container:
        return [
            (int(packet.pts or 0), packet.is_keyframe, split_length_prefixed(bytes(packet)))
            for packet in container.demux(video=0)
            if packet.size
        ]


def units_in(form: str) -> list[Unit]:
    if form == "annex_b":
        return [
            (unit["pts_90k"], unit["is_key"], split_annex_b(unb64u(unit["data"])))
            for unit in VECTOR["annex_b"]
        ]
    return units_of_mp4(unb64u(VECTOR[form]))


def root_of(units: list[Unit]) -> str:
    hasher = GopHasher()
    for pts_90k, is_key, nal_units in units:
        hasher.add(pts_90k, is_key, nal_units)
    return merkle_root(gop.leaf for gop in hasher.finish())


@pytest.mark.parametrize("form", ["plain_mp4", "fragmented_mp4", "annex_b"])
def test_the_golden_clip_gives_its_signed_root_in_every_form(form: str) -> None:
    signed = convert(VECTOR["signed"], SignedManifest)
    manifest = check_manifest(signed, unb64u(VECTOR["identity_key"]))
    units = units_in(form)
    assert len(units) == 12
    assert root_of(units) == manifest.video_root
    retimed = [(pts + (pts > 0), is_key, nal_units) for pts, is_key, nal_units in units]
    assert root_of(retimed) != manifest.video_root
    assert root_of(units[:-1]) != manifest.video_root
