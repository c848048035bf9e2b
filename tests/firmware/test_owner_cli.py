"""`doorward press` and `doorward show`, against a real Unix socket; `doorward recovery`."""

import base64
import io
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.capture.camera_output import LumaFrame
from firmware.capture.qr_reader import read_texts
from firmware.companion.owner.cli import main
from firmware.companion.owner.terminal_qr import draw_qr
from firmware.config.loader import parse_config
from firmware.protocol.owner_codes import parse_recovery_code
from firmware.protocol.pairing import recovery_key_words
from firmware.vault.recovery_words import (
    make_recovery_key,
    parse_recovery_secret,
    public_text_of,
    recovery_keys_of_words,
)
from tests.fakes.waiting import PATIENCE_S


class Listener:
    """Answers one order with one line."""

    def __init__(self, folder: Path, answer: bytes) -> None:
        self.order: dict = {}
        self._answer = answer
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(folder / "control.sock"))
        self._server.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        with connection, connection.makefile("rb") as lines:
            self.order = json.loads(lines.readline())
            connection.sendall(self._answer)

    def close(self) -> None:
        self._thread.join(PATIENCE_S)
        self._server.close()


@pytest.fixture
def doorbell(tmp_path: Path) -> Iterator[Listener]:
    listener = Listener(tmp_path, b'{"ok":true}\n')
    yield listener
    listener.close()


def test_press_rings_the_bell(doorbell: Listener, tmp_path: Path) -> None:
    assert main(["press", "--data", str(tmp_path)]) == 0
    assert doorbell.order == {"do": "press", "pin": "bell"}


def test_press_service_holds_the_service_button(doorbell: Listener, tmp_path: Path) -> None:
    assert main(["press", "--service", "--data", str(tmp_path)]) == 0
    assert doorbell.order == {"do": "press", "pin": "service", "hold_s": 3.2}


def test_press_briefly_presses_the_service_button(doorbell: Listener, tmp_path: Path) -> None:
    assert main(["press", "--briefly", "--data", str(tmp_path)]) == 0
    assert doorbell.order == {"do": "press", "pin": "service"}


def test_show_sends_the_picture(doorbell: Listener, tmp_path: Path) -> None:
    picture = tmp_path / "code.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n-rest")
    assert main(["show", str(picture), "--seconds", "4", "--data", str(tmp_path)]) == 0
    assert doorbell.order["do"] == "show"
    assert doorbell.order["seconds"] == 4
    assert base64.b64decode(doorbell.order["png_b64"]) == picture.read_bytes()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b'{"ok":false,"error":"no such pin"}\n', "no such pin"),
        (b"", "isn't JSON"),
        (b"[1]\n", "refused"),
    ],
)
def test_a_refusal_is_said_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: bytes, says: str
) -> None:
    listener = Listener(tmp_path, answer)
    assert main(["press", "--data", str(tmp_path)]) == 1
    listener.close()
    assert says in capsys.readouterr().err


def test_no_doorbell_says_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["press", "--data", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "make demo" in error
    assert "--data" in error


def test_a_picture_that_is_no_png_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "photo.jpg"
    picture.write_bytes(b"\xff\xd8\xff")
    assert main(["show", str(picture), "--data", str(tmp_path)]) == 1
    assert "save the picture as PNG" in capsys.readouterr().err


def test_recovery_shows_words_that_belong_to_the_public_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["recovery"]) == 0
    shown = capsys.readouterr().out
    words = [word for _, word in sorted(re.findall(r"(?:^|\s)(\d+)\. ([a-z]+)", shown), key=number)]
    assert len(words) == 18
    public = re.search(r'^\[storage\]\nrecovery_key = "([A-Za-z0-9_-]{43})"$', shown, re.M)
    assert public is not None
    assert public_text_of(parse_recovery_secret(" ".join(words))) == public[1]
    assert parse_config({"storage": {"recovery_key": public[1]}}, Path()).storage.recovery_key
    code = re.search(r"^  (DWR1:\S+)$", shown, re.M)
    assert code is not None
    assert parse_recovery_code(code[1]) == recovery_keys_of_words(" ".join(words))
    assert " ".join(recovery_key_words(parse_recovery_code(code[1]))) in shown


def number(match: tuple[str, str]) -> int:
    return int(match[0])


def test_recovery_keeps_the_words_nowhere(tmp_path: Path) -> None:
    program = ["strace", "-f", "-o", str(tmp_path / "log"), "-e", "trace=openat,creat,open"]
    if shutil.which("strace") is None:
        pytest.skip("strace is missing (apt: strace)")
    done = subprocess.run(
        [*program, sys.executable, "-B", "-m", "firmware.companion.owner.cli", "recovery"],
        capture_output=True,
        check=True,
        timeout=10 * PATIENCE_S,
    )
    assert b"recovery_key" in done.stdout
    opened = (tmp_path / "log").read_text()
    assert '"/proc' in opened or "openat(" in opened
    written = [line for line in opened.splitlines() if re.search("O_WRONLY|O_RDWR|O_CREAT", line)]
    assert written == []


def test_recovery_check_says_which_key_the_words_belong_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_recovery_key()
    typed = "\n".join(" ".join(key.words[i : i + 6]).upper() for i in (0, 6, 12))
    for end in ("", "\n", "\n\nnot read any more\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed + end))
        assert main(["recovery", "--check"]) == 0
        assert key.public_text in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed.replace(key.words[0].upper(), "acid x", 1)))
    assert main(["recovery", "--check"]) == 1
    shown = capsys.readouterr()
    assert key.public_text not in shown.out
    assert "word" in shown.err


def test_the_drawn_code_is_read_by_a_camera_as_the_words() -> None:
    text = " ".join(make_recovery_key().words)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", draw_qr(text)).split("\n")
    rows = [
        b"".join((b"\x00" if cell in dark else b"\xff") * 4 for cell in line)
        for line in lines
        for dark in ("▀█", "▄█")  # the upper half of each cell, then the lower
    ]
    picture = b"".join(row * 4 for row in rows)
    width = len(rows[0])
    frame = LumaFrame(
        pts_90k=0, data=picture, stride=width, width=width, height=len(rows) * 4, gain=1.0
    )
    assert read_texts(frame) == [text]
