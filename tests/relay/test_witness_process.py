"""`doorward-witness` as others run it: its commands, and being killed at any moment."""

import asyncio
import re
import signal
import subprocess
from pathlib import Path

import pytest

from firmware.protocol.tlog.checkpoint import open_checkpoint
from firmware.protocol.tlog.signed_note import NoteSigner, parse_key, parse_note, parse_signatures
from relay.tools.witness.cli import main
from tests.fakes.witness_log import ORIGIN, WitnessedLog
from tests.fakes.witness_process import COMMAND, WitnessProcess, keygen
from tests.faults import strace

TRACED = "trace=openat,fsync,rename,renameat,renameat2,sendto"
needs_strace = pytest.mark.skipif(bool(strace.reason_against()), reason=strace.reason_against())


def log_of(size: int) -> WitnessedLog:
    return WitnessedLog(b"entry %d" % number for number in range(size))


def test_is_set_up_serves_and_shows_what_it_signed(tmp_path: Path):
    key, log = keygen(tmp_path), log_of(10)
    with WitnessProcess(tmp_path, log.signer.key) as witness:
        status, line = witness.add_checkpoint(log.request(0))
    assert status == 200
    note = parse_note(log.signed()).with_signatures(*parse_signatures(line)).encode()
    assert open_checkpoint(note, logs=[log.signer.key], witnesses={"w": key}).times_ms
    command = [*COMMAND, "show", "--data", str(tmp_path / "witness"), "--log", log.signer.key.vkey]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.startswith(f"{key.vkey}\n{ORIGIN}: 10 entries, signed ")


def test_the_key_is_secret_and_never_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    key = tmp_path / "w.key"
    arguments = ["keygen", "--name", "w.example", "--key", str(key), "--data", str(tmp_path / "w")]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    saved = key.read_text()
    assert key.stat().st_mode & 0o777 == 0o600
    assert parse_key(printed.out.strip()) == NoteSigner.parse(saved.strip()).key
    assert saved.strip().rpartition("+")[2] not in printed.out + printed.err
    assert main(arguments) == 1
    assert key.read_text() == saved


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: (folder / "witness.key").chmod(0o644), "chmod 600"),
        (lambda folder: (folder / "witness.key").unlink(), "can't be read"),
        (lambda folder: (folder / "witness.key").write_text("nonsense\n"), "isn't a witness's key"),
        (
            lambda folder: (folder / "witness.key").write_text(log_of(1).signer.saved() + "\n"),
            "a log's key, not a witness's",
        ),
        (lambda folder: (folder / "witness" / "witness.vkey").unlink(), "retire this key"),
        (lambda folder: (folder / "witness" / "witness.vkey").write_text("x\n"), "can't be read"),
    ],
)
def test_does_not_serve_with_files_that_are_not_as_they_must_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil, why: str
):
    keygen(tmp_path)
    spoil(tmp_path)
    files = ["--key", str(tmp_path / "witness.key"), "--data", str(tmp_path / "witness")]
    assert main(["serve", *files, "--log", log_of(1).signer.key.vkey]) == 1
    assert why in capsys.readouterr().err


def test_does_not_serve_for_a_key_that_is_no_logs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    key = keygen(tmp_path)
    files = ["--key", str(tmp_path / "witness.key"), "--data", str(tmp_path / "witness")]
    assert main(["serve", *files, "--log", key.vkey]) == 1
    assert "not a log's" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["serve", *files, "--log", "nonsense"])


def test_two_processes_can_not_have_one_folder(tmp_path: Path):
    keygen(tmp_path)
    log = log_of(1)
    with WitnessProcess(tmp_path, log.signer.key):
        with pytest.raises(RuntimeError, match="ended with 1"):
            WitnessProcess(tmp_path, log.signer.key).__enter__()


@needs_strace
async def test_a_signature_is_durable_before_it_is_given_away(tmp_path: Path):
    keygen(tmp_path)
    log = log_of(10)
    with WitnessProcess(tmp_path, log.signer.key) as witness:
        async with strace.attached(witness.pid, "-e", TRACED, log=tmp_path / "calls"):
            assert (await asked(witness, log.request(0)))[0] == 200
    names = [call.name for call in strace.read_calls(tmp_path / "calls") if is_of_signing(call)]
    assert names[:5] == ["openat", "fsync", "rename", "fsync", "sendto"]


def is_of_signing(call: strace.Call) -> bool:
    """Tell whether a call is about the log's file, a sync, or the answer."""
    if call.name == "sendto":
        return not re.search(r"= 1 ", call.text)  # with one byte a thread wakes the loop
    return call.name == "fsync" or ".checkpoint" in call.text


@needs_strace
@pytest.mark.parametrize(
    ("killed_at", "remembers"),
    [
        ("fsync:signal=KILL:when=1", {0}),
        ("rename:signal=KILL:when=1", {0}),
        ("fsync:signal=KILL:when=2", {10}),
        ("sendto:signal=KILL:when=1", {10}),
    ],
)
async def test_a_witness_that_is_killed_never_signs_two_histories(
    tmp_path: Path, killed_at: str, remembers: set[int]
):
    keygen(tmp_path)
    log, forged = log_of(20), WitnessedLog(b"forged %d" % number for number in range(20))
    forged.signer = log.signer
    with WitnessProcess(tmp_path, log.signer.key) as witness:
        options = ("-e", TRACED, "-e", f"inject={killed_at}")
        async with strace.attached(witness.pid, *options, log=tmp_path / "calls"):
            assert await asked(witness, log.request(0, 10)) == (0, b"")
            assert witness.died_with() == -signal.SIGKILL
    with WitnessProcess(tmp_path, log.signer.key) as witness:
        status, line = witness.add_checkpoint(log.request(3, 20))
        assert status == 409
        size = int(line)
        assert size in remembers
        if size:
            assert witness.add_checkpoint(forged.request(size, 12))[0] == 422
        assert witness.add_checkpoint(log.request(size, 20))[0] == 200


async def asked(witness: WitnessProcess, body: bytes) -> tuple[int, bytes]:
    """Post in a thread: strace is read by the loop meanwhile."""
    return await asyncio.to_thread(witness.add_checkpoint, body)
