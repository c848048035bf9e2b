"""Ctrl-C of the real process: it ends soon, and each card is blank, or done and said to be.

The process writes its progress into a pipe that is nearly full, so that it stands at one line of it
when the signal comes. Whichever line that is, what must become of the card is known: at the last
one, `done`, it is whole; at any before, it is blank.
"""

import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from firmware.protocol.claims import Claim, Invitation, InvitedNetwork
from firmware.protocol.encoding import b64u
from provisioning.cloud_init import Wishes
from provisioning.customise import customise
from provisioning.errors import Cancelled
from tests.fakes.loop_device import loop_of
from tests.fakes.lsblk import fake_lsblk
from tests.fakes.waiting import PATIENCE_S
from tests.provisioning.card_images import LENGTH, WITH_BUNDLE, make_image, needs_fat_tools
from tests.provisioning.signed_bundles import make_bundle

pytestmark = needs_fat_tools

PIPE_BYTES = 4096
ENDS_IN_S = 30.0
"""It takes less than two seconds of an idle machine."""
Bundle = tuple[Path, Path]
FIRST = 4 * 1024 * 1024
START = """
import runpy, provisioning.progress
provisioning.progress.EACH_S = 1e9
runpy.run_module("provisioning", run_name="__main__", alter_sys=True)
"""
"""The command, whose number of lines doesn't depend on how long it takes: but for the first, only a
stage's end is told."""
LINES = (0, 70, 140, 210, 280, 350, 420)
"""Free bytes of the pipe: about as many lines fit as it is times 70."""


def invitation(number: int) -> Invitation:
    claim = Claim(
        relay_url="https://relay.example",
        secret=b64u(bytes([number]) * 32),
        ca_sha256="0" * 64,
        expires_ms=(int(time.time()) + 3600) * 1000,
    )
    network = InvitedNetwork(ssid="Home", key="0f" * 32, security="wpa2", country="SE")
    return Invitation(claim=claim, network=network, name=f"dw-{number}")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = tmp_path_factory.mktemp("base") / "trixie.img"
    make_image(image, WITH_BUNDLE)
    with image.open("r+b") as file:
        file.seek(LENGTH - 4096)
        file.write(random.Random(1).randbytes(4096))
    return image


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    return make_bundle(folder, wheel=random.Random(2).randbytes(5_000_000))


@dataclass
class Ended:
    """How a stopped process ended; `at` is the stage of the line at which it stood."""

    code: int
    stages: list[str]
    at: str
    said: str
    seconds: float


def stopped_at(command: Sequence[object], free: int, **environment: str) -> Ended:
    """Run a command, send SIGINT when its output doesn't fit any more, and let it end."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.write(writer, b" " * (PIPE_BYTES - free - 1) + b"\n")
    process = subprocess.Popen(
        [sys.executable, "-c", START, *map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    os.close(writer)
    try:
        until = time.monotonic() + PATIENCE_S
        while process.poll() is None and not stands_at_pipe(process.pid):
            assert time.monotonic() < until, "it neither ended nor stood at a full pipe"
            time.sleep(0.005)
        is_alive = process.poll() is None
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        with os.fdopen(reader, "rb") as output:
            lines = [line for line in output.read().splitlines() if line.strip()]
        assert process.stderr is not None
        said = process.stderr.read().decode()
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    rows, out = [json.loads(line) for line in lines if line.startswith(b"{")], 0
    at = "over"
    for row, line in zip(rows, lines, strict=False):
        out += len(line) + 1
        if is_alive and out > free:
            at = row["stage"]
            break
    return Ended(
        process.returncode, [row["stage"] for row in rows], at, said, time.monotonic() - began
    )


def stands_at_pipe(pid: int) -> bool:
    with contextlib.suppress(OSError):
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return any("pipe_write" in (task / "wchan").read_text() for task in tasks)
    return False


def test_ctrl_c_while_the_command_is_loaded_ends_it_without_a_traceback() -> None:
    start = "import sys; from provisioning.entry import main; sys.exit(main())"
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    process = subprocess.Popen(  # it stands at each line about a module while nobody reads
        [sys.executable, "-X", "importtime", "-c", start, "list"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=writer,
    )
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as errors:
            said = b""
            while b"provisioning.entry" not in said:
                line = errors.readline()
                assert line, said
                said += line
            until = time.monotonic() + PATIENCE_S
            while not stands_at_pipe(process.pid):
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.005)
            process.send_signal(signal.SIGINT)
            said += errors.read()
        assert b"Traceback" not in said
        assert process.wait(PATIENCE_S) == -signal.SIGINT
    finally:
        process.kill()
        process.wait()


def is_blank(card: Path) -> bool:
    with card.open("rb") as file:
        return not any(file.read(FIRST))


def is_made(card: Path) -> bool:
    with card.open("rb") as file:
        return file.read(512)[510:] == b"\x55\xaa"


def new_card(path: Path) -> Path:
    with path.open("wb") as file:
        file.write(b"\xee" * FIRST)
        file.truncate(LENGTH + 10_000_384)
    return path


def assert_ended(ended: Ended, card: Path, *, last: str = "done") -> None:
    if ended.at in (last, "over"):
        assert (ended.code, ended.stages[-1]) == (0, "done"), ended
        assert is_made(card)
    else:
        assert (ended.code, is_blank(card)) == (130, True), ended
        assert "the card is blank and can be flashed again" in ended.said
        assert "done" not in ended.stages
    assert ended.seconds < ENDS_IN_S, ended


def flash(base: Path, card: Path, bundle: Bundle, folder: Path) -> list[object]:
    path = folder / "doorward.json"
    path.write_bytes(invitation(1).encode())
    more = ["--invitation", path, "--bundle", bundle[0], "--signers", bundle[1]]
    return ["flash", base, card, "--allow-file", "--yes", "--json", *more]


def test_a_file_in_a_cards_place(base: Path, bundle: Bundle, tmp_path: Path):
    stages = set()
    for free in LINES:
        card = new_card(tmp_path / "card")
        ended = stopped_at(flash(base, card, bundle, tmp_path), free)
        assert_ended(ended, card)
        stages.add(ended.at)
    assert stages >= {"writing", "reading back", "customising", "done"}


@pytest.mark.parametrize("free", LINES[1::2])
def test_a_loop_device(base: Path, bundle: Bundle, tmp_path: Path, free: int):
    with loop_of(new_card(tmp_path / "card")) as device:
        assert_ended(stopped_at(flash(base, device, bundle, tmp_path), free), device)


def readers(cards: Sequence[Path]) -> list[dict[str, object]]:
    """Return files as cards in readers, as lsblk has them."""
    return [
        {
            "kname": f"sd{letter}",
            "path": str(card),
            "type": "disk",
            "subsystems": "block:scsi:usb:pci",
            "rm": True,
            "size": 32_000_000_000,
            "mountpoints": [None],
        }
        for letter, card in zip("abc", cards, strict=False)
    ]


@pytest.mark.parametrize("free", [0, 300, 500, 750])
def test_a_batch(base: Path, tmp_path: Path, free: int):
    cards = [new_card(tmp_path / name) for name in ("one", "two")]
    folder = tmp_path / "invitations"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"dw-{number}.json").write_bytes(invitation(number).encode())
    book = tmp_path / "ledger"
    more = ["--invitations", folder, "--ledger", book, "--yes", "--json"]
    ended = stopped_at(["batch", base, *cards, *more], free, **fake_lsblk(tmp_path, readers(cards)))
    rows = [json.loads(line) for line in book.read_text().splitlines()]
    steps = {row["serial"]: row["step"] for row in rows}
    made = [steps.get(f"dw-{number}") == "done" for number in (1, 2)]
    assert [is_made(card) for card in cards] == made, ended
    assert all(is_made(card) or is_blank(card) for card in cards)
    assert "taken" not in steps.values(), "a card of which the ledger doesn't say what became"
    assert ended.code == (0 if all(made) else 130)
    assert ended.seconds < ENDS_IN_S, ended


class SetAtSecondLook(threading.Event):
    """An event that somebody sets just after it was looked at for the first time."""

    def is_set(self) -> bool:
        was = super().is_set()
        self.set()
        return was


def test_a_card_that_is_customised_alone_is_blank(base: Path, tmp_path: Path):
    card = Path(shutil.copy(base, tmp_path / "card"))
    wishes = Wishes(serial="dw-1", claim=invitation(1).claim, policy=None, network=None)
    at = datetime(2026, 1, 2, tzinfo=UTC)
    with pytest.raises(Cancelled, match="the card is blank"):
        customise(card, wishes, at=at, is_cancelled=SetAtSecondLook())
    assert is_blank(card)


def test_nothing_is_written_if_it_was_stopped_before(base: Path, tmp_path: Path):
    card, stop = Path(shutil.copy(base, tmp_path / "card")), threading.Event()
    wishes = Wishes(serial="dw-1", claim=invitation(1).claim, policy=None, network=None)
    stop.set()
    with pytest.raises(Cancelled, match="nothing was written"):
        customise(card, wishes, at=datetime(2026, 1, 2, tzinfo=UTC), is_cancelled=stop)
    assert card.read_bytes() == base.read_bytes()
