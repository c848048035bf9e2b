"""The control socket, by which mock pins are pressed and looked at."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from firmware.errors import ControlError
from firmware.panel.control_socket import MAX_LINE_BYTES, ControlSocket, PanelView


class Door:
    """Notes what the control socket orders."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.refuses = ""

    async def press(self, pin: str, hold_s: float) -> None:
        if self.refuses:
            raise ControlError(self.refuses)
        self.done.append((pin, hold_s))

    async def show(self, picture: bytes, seconds: float) -> None:
        if not picture.startswith(b"\x89PNG"):
            raise ValueError("not a PNG picture")
        self.done.append((picture, seconds))

    def look(self) -> PanelView:
        return PanelView(light="idle", light_level=0.0, chime_pulses=2, is_infrared_on=False)


def open_control(path: Path, door: Door) -> ControlSocket:
    return ControlSocket(path, door)


@asynccontextmanager
async def control(path: Path, door: Door) -> AsyncIterator[None]:
    server = open_control(path, door)
    await server.start()
    try:
        yield
    finally:
        await server.close()


async def ask(path: Path, line: bytes) -> Any:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(line + b"\n")
    try:
        answer = await reader.readline()
    finally:
        writer.close()
    return json.loads(answer)


async def test_the_socket_presses_the_bell_and_holds_the_service_button(tmp_path: Path) -> None:
    path, door = tmp_path / "control.sock", Door()
    async with control(path, door):
        assert await ask(path, b'{"do":"press","pin":"bell"}') == {"ok": True}
        await ask(path, b'{"do":"press","pin":"service","hold_s":3.2}')
    assert door.done == [("bell", 0.15), ("service", 3.2)]


async def test_a_press_that_came_to_nothing_is_no_ok(tmp_path: Path) -> None:
    path, door = tmp_path / "control.sock", Door()
    door.refuses = "too short to count as a press; hold it longer"
    async with control(path, door):
        answer = await ask(path, b'{"do":"press","pin":"bell","hold_s":0.001}')
    assert answer == {"ok": False, "error": door.refuses}


async def test_the_socket_says_what_light_and_chime_do(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with control(path, Door()):
        answer = await ask(path, b'{"do":"look"}')
    assert answer == {
        "ok": True,
        "light": "idle",
        "light_level": 0.0,
        "chime_pulses": 2,
        "is_infrared_on": False,
    }


async def test_the_socket_shows_a_picture(tmp_path: Path) -> None:
    path, door = tmp_path / "control.sock", Door()
    png = b"\x89PNG" + bytes(100_000)
    order = {"do": "show", "png_b64": base64.b64encode(png).decode(), "seconds": 4}
    async with control(path, door):
        assert await ask(path, json.dumps(order).encode()) == {"ok": True}
    assert door.done == [(png, 4.0)]


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b'{"do":"explode"}',
        b'{"do":"press","pin":"roof"}',
        b'{"do":"press","pin":"bell","hold_s":1e9}',
        b'{"do":"press","pin":"bell","extra":1}',
        b'{"do":"look","at":"keys"}',
        b'{"do":"show","png_b64":"!!!"}',
        b'{"do":"show","png_b64":"AAAA"}',
    ],
)
async def test_the_socket_refuses_nonsense_and_says_why(tmp_path: Path, line: bytes) -> None:
    path, door = tmp_path / "control.sock", Door()
    async with control(path, door):
        answer = await ask(path, line)
    assert answer["ok"] is False
    assert answer["error"]
    assert door.done == []


async def test_the_socket_refuses_a_line_without_end(tmp_path: Path) -> None:
    path, door = tmp_path / "control.sock", Door()
    async with control(path, door):
        answer = await ask(path, b"x" * (MAX_LINE_BYTES + 100_000))
    assert answer["error"] == f"a line is at most {MAX_LINE_BYTES} bytes"


async def test_only_this_user_may_open_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with control(path, Door()):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


async def test_a_socket_that_a_dead_doorbell_left_behind_is_replaced(tmp_path: Path) -> None:
    path, door = tmp_path / "control.sock", Door()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    async with control(path, door):
        assert await ask(path, b'{"do":"press","pin":"bell"}') == {"ok": True}


async def test_a_path_that_is_too_long_is_explained(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120)
    with pytest.raises(OSError, match=r"set panel\.control_socket to a shorter one"):
        await open_control(path, Door()).start()
