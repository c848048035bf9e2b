"""Released recordings before C2PA's reader, now and in years, and before strict readers of MP4."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.story.servers import program
from tests.strangers.strict_mp4 import Wrong, tracks
from tests.strangers.tools import NODE, needs, needs_npm, run
from tests.strangers.town import LivingTown

pytest.importorskip("c2pa", reason="c2pa-python isn't installed")
YEARS = (0, 2, 10)
AGE = "its doorbell was there a day before it, or longer"
"""What the story's doorbell, of some minutes, can't show."""
READ = """
import io, json, sys, c2pa
settings = c2pa.Settings.from_dict({"trust": {"trust_anchors": open(sys.argv[2]).read()}})
with c2pa.Context(settings) as context, c2pa.Reader(sys.argv[1], context=context) as reader:
    said = json.loads(reader.json())
    problems = [one["code"] for one in said.get("validation_status") or []]
    print(json.dumps([reader.get_validation_state(), problems]))
"""
MP4BOX = """
import { readFileSync } from "node:fs";
import { createFile } from "mp4box";
const file = createFile();
file.onError = (module, message) => { console.error(module, message); process.exit(1); };
file.onReady = ({ tracks, isFragmented }) => {
  const told = tracks.map(({ codec, nb_samples, video }) => ({ codec, nb_samples, video }));
  console.log(JSON.stringify({ isFragmented, tracks: told }));
};
const bytes = readFileSync(process.argv[2]);
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
buffer.fileStart = 0;
file.appendBuffer(buffer);
file.flush();
"""


def in_years(years: int) -> list[str]:
    """The words before a command whose clock is so far ahead."""
    return ["faketime", "-f", f"+{years * 365}d"] if years else []


@pytest.fixture(scope="module")
def clips(town: LivingTown) -> list[Path]:
    found = sorted(town.evidence.glob("clip-*.mp4"))
    assert found
    return found


@needs("faketime", of="faketime")
@pytest.mark.parametrize("years", YEARS)
def test_c2pas_reader_trusts_a_clip_now_and_in_years(
    town: LivingTown, clips: list[Path], years: int
):
    """Seen in 2 years with the certificate of the broker: Invalid, signingCredential.expired."""
    for clip in clips:
        done = run(*in_years(years), sys.executable, "-c", READ, clip, town.fleet_ca)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == ["Trusted", []]


@needs("faketime", of="faketime")
@pytest.mark.parametrize("years", YEARS)
def test_doorward_verify_says_the_same_in_years(town: LivingTown, years: int):
    done = run(
        *in_years(years), program("doorward-verify"), town.evidence, "--json",
        "--policy", town.settings.policy, "--fleet-ca", town.fleet_ca,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert {(one["state"], one["is_refused"]) for one in told["c2pa"]} == {("Trusted", False)}
    rest = {(one["what"], one["result"]) for one in told["checks"] if one["result"] != "holds"}
    new = {(f"{clip.name}: {AGE}", "not shown") for clip in town.evidence.glob("clip-*.mp4")}
    assert (done.returncode, told["exit_code"], rest) == (3, 3, new)


@needs("faketime", of="faketime")
def test_the_broker_takes_the_certificate_for_ninety_days_only(town: LivingTown):
    own = town.settings.doorbell_dir / "certificate.pem"
    for days, is_valid in ((85, True), (95, False)):
        checked = run(
            *("faketime", "-f", f"+{days}d", "openssl", "verify", "-purpose", "sslclient"),
            *("-CAfile", town.fleet_ca, own),
        )
        assert (checked.returncode == 0) == is_valid, checked.stderr


@needs("openssl", of="openssl")
def test_openssl_takes_the_evidence_certificate_for_no_connection(town: LivingTown, tmp_path: Path):
    evidence = town.evidence / "device.pem"
    for purpose, is_valid in (("sslclient", False), ("sslserver", False), ("smimesign", True)):
        checked = run("openssl", "verify", "-purpose", purpose, "-CAfile", town.fleet_ca, evidence)
        assert (checked.returncode == 0) == is_valid, (purpose, checked.stderr)


def test_one_altered_byte_of_the_pictures_is_found_by_c2pas_reader(
    town: LivingTown, clips: list[Path], tmp_path: Path
):
    data = bytearray(clips[0].read_bytes())
    data[-500] ^= 1
    altered = tmp_path / "altered.mp4"
    altered.write_bytes(data)
    done = run(sys.executable, "-c", READ, altered, town.fleet_ca)
    assert json.loads(done.stdout) == ["Invalid", ["assertion.bmffHash.mismatch"]]


def test_a_strict_reader_takes_each_released_clip(clips: list[Path]):
    for clip in clips:
        (track,) = [one for one in tracks(clip.read_bytes()) if one.handler == b"vide"]
        assert track.timescale == 90_000
        assert len(track.samples) > 30
        times = [sample.time for sample in track.samples]
        assert times == sorted(set(times))


@pytest.mark.parametrize("at", [0.2, 0.5, 0.999])
def test_a_clip_that_is_cut_off_is_refused_by_the_strict_reader(clips: list[Path], at: float):
    data = clips[0].read_bytes()
    with pytest.raises(Wrong):
        tracks(data[: int(len(data) * at)])


@needs_npm("mp4box")
def test_mp4box_reads_the_same_tracks(clips: list[Path], tmp_path: Path):
    script = NODE.parent / "mp4box.mjs"
    script.write_text(MP4BOX)
    for clip in clips:
        done = run("node", script, clip)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert not told["isFragmented"]
        ours = [one for one in tracks(clip.read_bytes()) if one.handler == b"vide"]
        seen = [one for one in told["tracks"] if one["codec"].startswith("avc1.")]
        assert [len(one.samples) for one in ours] == [one["nb_samples"] for one in seen]


@needs("ffprobe", of="ffmpeg")
def test_ffmpeg_decodes_each_picture_without_an_error(clips: list[Path]):
    for clip in clips:
        done = subprocess.run(
            ["ffmpeg", "-v", "error", "-err_detect", "explode", "-i", clip,
             "-enc_time_base", "demux", "-f", "null", "-"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
