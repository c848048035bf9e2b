"""`doorward press` and `doorward show`, against a real Unix socket."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.owner_cli import main


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
        self._thread.join(5)
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
