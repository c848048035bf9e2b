"""C2PA content credentials on what is released, made by a program that is trusted with nothing."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import pytest

from firmware.clips.fragment import ClipUnit
from firmware.clips.mp4 import plain_mp4
from firmware.errors import ProvenanceError
from firmware.evidence import provenance
from firmware.evidence.provenance import Claim, Provenance
from firmware.protocol.released_part import ReleasedPart
from tests.fakes.credentials import Fleet, Identity
from tests.fakes.ffmpeg_reader import read_sound, read_units
from tests.fakes.footage import HEIGHT, WIDTH, TinyCamera, clip_units
from tests.fakes.waiting import PATIENCE_S
from tests.vectors.make_sound import units_of_sound

CLIP_ID = "c" * 26
CLAIM = Claim(
    part=ReleasedPart(
        clip_id=CLIP_ID, first_gop=1, gop_count=2, first_span=0, span_count=0, provenance="none: -"
    ),
    manifest_digest="ab" * 32,
    grant_digest="cd" * 32,
    is_trimmed=True,
)


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture(scope="module")
def units() -> list[ClipUnit]:
    return clip_units(TinyCamera().film(3))


@pytest.fixture(scope="module")
def mp4(units: list[ClipUnit]) -> bytes:
    return plain_mp4(units, units_of_sound(), width=WIDTH, height=HEIGHT)


def doorbell(fleet: Fleet, identity: Identity | None = None, **options: object) -> Provenance:
    identity = identity or Identity()
    return Provenance(signer=identity, certificate_pem=fleet.certify(identity), **options)


def test_a_reader_that_trusts_the_fleets_ca_trusts_the_credentials(
    fleet: Fleet, mp4: bytes
) -> None:
    credited = doorbell(fleet).credit(mp4, CLAIM)
    assert credited.provenance == "c2pa"
    read = fleet.read(credited.mp4)
    assert (read.state, read.problems) == ("Trusted", [])
    assert Fleet().read(credited.mp4).problems == ["signingCredential.untrusted"]


def test_the_credentials_say_which_part_of_which_clip_was_given_for_which_grant(
    fleet: Fleet, mp4: bytes
) -> None:
    manifest = fleet.read(doorbell(fleet).credit(mp4, CLAIM).mp4).manifest
    said = {one["label"]: one["data"] for one in manifest["assertions"]}
    assert said["org.doorward.clip"] == {
        "clip_id": CLIP_ID,
        "manifest_digest": "ab" * 32,
        "grant_digest": "cd" * 32,
        "first_gop": 1,
        "gop_count": 2,
    }
    actions = [one["action"] for one in said["c2pa.actions.v2"]["actions"]]
    assert actions == ["c2pa.created", "c2pa.trimmed"]
    assert set(said) == {"org.doorward.clip", "c2pa.actions.v2", "c2pa.hash.bmff.v3"}
    assert manifest["claim_generator_info"][0]["name"] == "Doorward"


def test_the_credentials_change_neither_a_picture_nor_a_sound_nor_a_time(
    fleet: Fleet, units: list[ClipUnit], mp4: bytes
) -> None:
    signed = doorbell(fleet).credit(mp4, CLAIM).mp4
    read = list(read_units(io.BytesIO(signed)))
    assert [described(unit) for unit in read] == [described(unit) for unit in units]
    assert read_sound(signed) == read_sound(mp4) == units_of_sound()
    with av.open(io.BytesIO(signed)) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(units)
    assert len(signed) - len(mp4) < 20_000


def described(unit: ClipUnit) -> tuple[int, bool, list[bytes]]:
    return unit.pts_90k, unit.is_key, unit.nal_units


def test_one_changed_bit_breaks_the_credentials(fleet: Fleet, mp4: bytes) -> None:
    signed = bytearray(doorbell(fleet).credit(mp4, CLAIM).mp4)
    signed[signed.index(b"mdat") + 200] ^= 1
    read = fleet.read(bytes(signed))
    assert read.problems == ["assertion.bmffHash.mismatch"]


def test_the_identity_key_signs_once_and_only_a_claim(fleet: Fleet, mp4: bytes) -> None:
    identity = Identity()
    doorbell(fleet, identity).credit(mp4, CLAIM)
    (signed,) = identity.signed
    assert signed.startswith(b"\x84\x6aSignature1")


@pytest.mark.parametrize("kind", ["junk", "self-signed", "for the broker"])
def test_a_certificate_that_c2pa_does_not_take_is_said_in_the_package(
    kind: str, fleet: Fleet, mp4: bytes
) -> None:
    identity = Identity()
    pem = {
        "junk": b"-",
        "self-signed": fleet.authority.pem.encode(),
        "for the broker": fleet.certify_for_the_broker(identity),
    }[kind]
    credited = Provenance(signer=identity, certificate_pem=pem).credit(mp4, CLAIM)
    assert credited.mp4 == mp4
    assert credited.provenance == "none: the doorbell's certificate can't sign content credentials"


# What the program may do and get -----------------------------------------------------------------

TALK = """
import json, os, socket, sys, time
from firmware.evidence.signer_pipe import *
talk = SignerPipe(socket.socket(fileno=0), timeout_s=20)
kind, content = talk.receive()
job = json.loads(content)
plain = os.read(job["source"], 10_000_000)
"""


def program(tmp_path: Path, body: str) -> tuple[str, ...]:
    path = tmp_path / "program.py"
    path.write_text(TALK + body)
    return (sys.executable, "-I", "-B", str(path))


def test_where_the_library_is_missing_the_clip_goes_out_and_the_package_says_so(
    tmp_path: Path, fleet: Fleet, mp4: bytes
) -> None:
    (tmp_path / "hidden.py").write_text(
        "import sys\nsys.modules['c2pa'] = None\n"
        "from firmware.evidence.c2pa_child import main\nsys.exit(main())\n"
    )
    command = (sys.executable, "-I", "-B", str(tmp_path / "hidden.py"))
    credited = doorbell(fleet, command=command).credit(mp4, CLAIM)
    assert credited.mp4 == mp4
    assert credited.provenance == "none: the C2PA library isn't installed here"


def test_the_program_gets_no_environment_no_key_and_no_file_but_its_two(
    tmp_path: Path, fleet: Fleet, mp4: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with `env={}` taken out. `pass_fds` closes all other files by itself."""
    monkeypatch.setenv("DOORWARD_SECRET", "canary")
    monkeypatch.setattr(provenance, "MAX_WORDS", 5000)
    key = tmp_path / "identity.key"
    key.write_text("canary")
    with key.open() as file:
        os.set_inheritable(file.fileno(), True)
        body = """
links = {}
for n in os.listdir("/proc/self/fd"):
    try: links[int(n)] = os.readlink(f"/proc/self/fd/{n}")
    except OSError: pass
told = {"env": dict(os.environ), "links": links, "argv": sys.argv, "cwd": os.getcwd()}
talk.send(FAILED, json.dumps(told).encode())
"""
        with pytest.raises(ProvenanceError) as refused:
            doorbell(fleet, command=program(tmp_path, body)).credit(mp4, CLAIM)
    told = json.loads(refused.value.problem)
    assert set(told["env"]) <= {"LC_CTYPE"}  # Python sets it itself
    kinds = sorted(link.split(":")[0].split(" ")[0] for link in told["links"].values())
    assert kinds == ["/dev/null", "/dev/null", "/memfd", "/memfd", "socket"]
    assert told["cwd"] == "/"
    assert "canary" not in refused.value.problem


def test_what_reads_the_mp4_can_open_no_file_and_no_connection(tmp_path: Path) -> None:
    """Seen to fail with RLIMIT_NOFILE taken out of c2pa_child.py."""
    told = subprocess.run(
        [sys.executable, "-I", "-B", "-c", """
import os, socket
from firmware.evidence.c2pa_child import _give_up_rights
_give_up_rights(1000)
for attempt in (lambda: os.open("/etc/passwd", os.O_RDONLY), socket.socket, os.pipe):
    try: attempt(); print("open")
    except OSError as error: print(error.strerror)
try: bytearray(10**9); print("large")
except MemoryError: print("no memory")
"""],
        capture_output=True, text=True, check=True, timeout=PATIENCE_S,
    )  # fmt: skip
    assert told.stdout.splitlines() == ["Too many open files"] * 3 + ["no memory"]


def refused_by(body: str, tmp_path: Path, fleet: Fleet, mp4: bytes, **options: object) -> str:
    identity = Identity()
    bell = doorbell(fleet, identity, command=program(tmp_path, body), **options)
    with pytest.raises(ProvenanceError) as refused:
        bell.credit(mp4, CLAIM)
    assert "could not be made" in str(refused.value)
    return refused.value.problem


def test_a_program_that_hangs_is_stopped(tmp_path: Path, fleet: Fleet, mp4: bytes) -> None:
    begun = time.monotonic()
    assert "takes too long" in refused_by("time.sleep(60)", tmp_path, fleet, mp4, timeout_s=0.7)
    assert time.monotonic() - begun < 50


def test_a_program_that_trickles_is_stopped_as_well(
    tmp_path: Path, fleet: Fleet, mp4: bytes
) -> None:
    body = "while True: os.write(0, b'S'); time.sleep(0.1)"
    assert refused_by(body, tmp_path, fleet, mp4, timeout_s=1.0)


def test_a_program_that_is_killed_is_named(tmp_path: Path, fleet: Fleet, mp4: bytes) -> None:
    body = "os.kill(os.getpid(), 9)"
    assert refused_by(body, tmp_path, fleet, mp4) == "its program was killed (SIGKILL)"


@pytest.mark.parametrize(
    "limit", ["MEMORY_BYTES = 70_000_000", "PROCESSOR_S = 0"], ids=["memory", "time"]
)
def test_the_real_program_at_its_limits_is_refused_with_words(
    limit: str, tmp_path: Path, fleet: Fleet, units: list[ClipUnit]
) -> None:
    padding = b"\x00\x00\x00\x01\x06" + b"\x55" * 20_000_000
    large = [replace(units[0], data=units[0].data + padding), *units[1:]]
    mp4 = plain_mp4(large, width=WIDTH, height=HEIGHT)
    path = tmp_path / "limited.py"
    path.write_text(
        "import sys\nfrom firmware.evidence import c2pa_child\n"
        f"c2pa_child.{limit}\nsys.exit(c2pa_child.main())\n"
    )
    with pytest.raises(ProvenanceError, match=r"killed \(SIG|emory|failed with code"):
        doorbell(fleet, command=(sys.executable, "-I", "-B", str(path))).credit(mp4, CLAIM)


def test_where_memory_runs_out_the_program_ends_and_not_the_doorbell(
    tmp_path: Path, fleet: Fleet, mp4: bytes
) -> None:
    path = tmp_path / "asked.py"
    path.write_text(
        "from pathlib import Path\nfrom firmware.evidence import c2pa_child, signer_pipe\n"
        "def sign(_c2pa, talk):\n"
        "    raise signer_pipe.SignerPipeError(Path('/proc/self/oom_score_adj').read_text())\n"
        "c2pa_child._sign = sign\nc2pa_child.main()\n"
    )
    with pytest.raises(ProvenanceError, match="1000"):
        doorbell(fleet, command=(sys.executable, "-I", "-B", str(path))).credit(mp4, CLAIM)


def test_a_program_that_fails_at_first_is_tried_once_more(
    tmp_path: Path, fleet: Fleet, mp4: bytes
) -> None:
    mark = tmp_path / "mark"
    body = f"""
if not os.path.exists({str(mark)!r}):
    open({str(mark)!r}, "w").close()
    os.kill(os.getpid(), 9)
talk.send(ABSENT, b"")
"""
    credited = doorbell(fleet, command=program(tmp_path, body)).credit(mp4, CLAIM)
    assert credited.provenance.startswith("none: ")


def test_a_program_that_is_not_there_is_named(fleet: Fleet, mp4: bytes) -> None:
    with pytest.raises(ProvenanceError, match="can't be started"):
        doorbell(fleet, command=("/nonexistent",)).credit(mp4, CLAIM)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("os.write(0, b'J' + b'\\xff' * 9); time.sleep(5)", "too large"),
        ("talk.send(b'?', b'x')", "unexpected"),
        ("talk.send(DONE)", "unexpected"),
        ("talk.send(FAILED, b'\\x1b[31m oh')", "oh"),
        ("os.write(0, b'S\\0\\0')", "before it was done"),
    ],
)
def test_a_program_that_answers_junk_is_refused(
    body: str, why: str, tmp_path: Path, fleet: Fleet, mp4: bytes
) -> None:
    problem = refused_by(body, tmp_path, fleet, mp4)
    assert why in problem
    assert problem.isprintable()


# What a program that was taken over could try ----------------------------------------------------

CERTIFICATE = """
import base64
certificate = base64.b64decode(job["certificate"].split("-----")[2])
"""


@pytest.mark.parametrize(
    "wanted",
    [
        "b'doorward/clip/v1\\0{}'",
        "b'doorward/clip/v1\\0' + certificate",
        "b'\\x84\\x6aSignature1' + b'another certificate'",
        "b' ' * 64 + b'TLS 1.3, client CertificateVerify\\0' + b'0' * 32",
    ],
)
def test_the_identity_key_signs_no_manifest_no_offer_and_no_handshake_for_it(
    wanted: str, tmp_path: Path, fleet: Fleet, mp4: bytes
) -> None:
    """Seen to fail with each check of `_check_claim` taken out."""
    identity = Identity()
    command = program(tmp_path, CERTIFICATE + f"talk.send(SIGN, {wanted}); talk.receive()")
    with pytest.raises(ProvenanceError, match="asks to sign"):
        doorbell(fleet, identity, command=command).credit(mp4, CLAIM)
    assert identity.signed == []


ASK = (
    CERTIFICATE
    + """
claim = b"\\x84\\x6aSignature1" + certificate
talk.send(SIGN, claim)
assert talk.receive()[0] == SIGNATURE
"""
)


def test_it_gets_no_second_signature(tmp_path: Path, fleet: Fleet, mp4: bytes) -> None:
    """Seen to fail with `has_signed` taken out."""
    assert "unexpected" in refused_by(
        ASK + "talk.send(SIGN, claim); talk.receive()", tmp_path, fleet, mp4
    )


BOX = f"""
box = (32).to_bytes(4, "big") + b"uuid" + {provenance.C2PA_BOX!r} + b"12345678"
"""
MOVE = """
def moved(data, by):
    data, at = bytearray(data), 0
    while (at := data.find(b"stco", at + 1)) > 0:
        for n in range(int.from_bytes(data[at + 8 : at + 12], "big")):
            i = at + 12 + 4 * n
            data[i : i + 4] = (int.from_bytes(data[i : i + 4], "big") + by).to_bytes(4, "big")
    return bytes(data)
"""
PUT_IN = "whole = moved(plain[:32] + box + plain[32:], 32)\n"
WITH_BOX = BOX + MOVE + PUT_IN


def answered(change: str) -> str:
    return ASK + WITH_BOX + change + '\nos.write(job["target"], whole)\ntalk.send(DONE)'


def test_one_box_more_and_moved_offsets_are_all_that_it_may_change(
    tmp_path: Path, fleet: Fleet, mp4: bytes
) -> None:
    command = program(tmp_path, answered(""))
    assert doorbell(fleet, command=command).credit(mp4, CLAIM).provenance == "c2pa"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("i = whole.index(b'mdat') + 100; whole = whole[:i] + b'X' + whole[i + 1:]", "changed"),
        ("whole = plain[:32] + box + plain[32:]", "changed"),
        ("i = whole.index(b'stts') + 19; whole = whole[:i] + b'\\x77' + whole[i + 1:]", "changed"),
        ("whole += (16).to_bytes(4, 'big') + b'free' + b'smuggled'", "changed"),
        ("whole += box", "no content"),
        ("whole = plain", "no content"),
        ("whole = whole[:-10]", "an MP4"),
        ("whole += bytes(200_000)", "too large"),
        ("whole = b''", "no content"),
        ("whole = whole[:60]", "an MP4"),
    ],
    ids=["picture", "offsets", "times", "more", "twice", "none", "cut", "large", "nothing", "torn"],
)
def test_a_program_that_changes_the_recording_is_found(
    change: str, why: str, tmp_path: Path, fleet: Fleet, mp4: bytes
) -> None:
    """Seen to succeed in changing it with `_check_one_box_added` taken out."""
    assert why in refused_by(answered(change), tmp_path, fleet, mp4)


def test_another_films_pictures_in_place_of_these_are_found(
    tmp_path: Path, fleet: Fleet, mp4: bytes
) -> None:
    other = clip_units(TinyCamera(7).film(3))[:-1]
    path = tmp_path / "other.mp4"
    path.write_bytes(plain_mp4(other, width=WIDTH, height=HEIGHT))
    change = f"plain = open({str(path)!r}, 'rb').read()\n" + PUT_IN
    assert "changed more" in refused_by(answered(change), tmp_path, fleet, mp4)


def test_no_process_and_no_open_file_is_left(fleet: Fleet, mp4: bytes) -> None:
    bell = doorbell(fleet)
    before = open_files()
    bell.credit(mp4, CLAIM)
    assert open_files() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_the_program_runs_under_what_the_systemd_unit_forbids(fleet: Fleet, mp4: bytes) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing (apt: systemd)")
    root = Path(__file__).parents[2]
    unit = root / "provisioning/systemd/doorward.service"
    confined = (sys.executable, str(root / "tests/fakes/confined.py"), str(unit))
    credited = doorbell(fleet, command=(*confined, *provenance.COMMAND)).credit(mp4, CLAIM)
    assert fleet.read(credited.mp4).state == "Trusted"
