"""Buttons that bounce, spark and are held; and the socket by which mock pins are pressed."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from firmware.capture.button import Button, MockPins, Press
from firmware.capture.control import MAX_LINE_BYTES, ControlSocket
from firmware.clock import SystemClock

DEBOUNCE_MS = 30


class Finger:
    """A bell button on a mock pin, and what came of it."""

    def __init__(self, *, hold_s: float = 0.25) -> None:
        self.pins = MockPins(bell_pin=17, service_pin=27)
        self.presses: list[Press] = []
        self.holds = 0
        self.button = Button(
            pin=17,
            debounce_ms=DEBOUNCE_MS,
            clock=SystemClock(),
            loop=asyncio.get_running_loop(),
            on_press=self.presses.append,
            on_hold=self._on_hold,
            hold_s=hold_s,
            pin_factory=self.pins.factory,
        )

    def _on_hold(self) -> None:
        self.holds += 1

    async def bounce(self, edges: int, pause_s: float) -> None:
        for edge in range(edges):
            self.pins.set_down("bell", is_down=edge % 2 == 0)
            await asyncio.sleep(pause_s)


@pytest.fixture
async def finger() -> AsyncIterator[Finger]:
    finger = Finger()
    yield finger
    finger.button.close()


async def test_a_press_is_told_once_with_the_time_of_its_edge(finger: Finger) -> None:
    before_ns = SystemClock().monotonic_ns()
    await finger.pins.press("bell", 0.1)
    await asyncio.sleep(0.05)
    (press,) = finger.presses
    assert 0 <= press.at_ns - before_ns < 20_000_000


async def test_a_contact_that_bounces_is_one_press(finger: Finger) -> None:
    await finger.bounce(7, 0.003)
    await asyncio.sleep(0.06)
    await finger.bounce(6, 0.003)
    await asyncio.sleep(0.06)
    assert len(finger.presses) == 1


async def test_a_spark_is_no_press(finger: Finger) -> None:
    await finger.pins.press("bell", 0.005)
    await asyncio.sleep(0.06)
    assert finger.presses == []


async def test_two_presses_are_two(finger: Finger) -> None:
    for _ in range(2):
        await finger.pins.press("bell", 0.08)
        await asyncio.sleep(0.08)
    assert len(finger.presses) == 2


async def test_a_long_press_is_told_as_such_once(finger: Finger) -> None:
    await finger.pins.press("bell", 0.4)
    await asyncio.sleep(0.05)
    assert (len(finger.presses), finger.holds) == (1, 1)


async def test_a_short_press_is_no_long_one(finger: Finger) -> None:
    await finger.pins.press("bell", 0.1)
    await asyncio.sleep(0.3)
    assert finger.holds == 0


class Door:
    """Notes what the control socket orders."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    async def press(self, pin: str, hold_s: float) -> None:
        self.done.append((pin, hold_s))

    async def show(self, picture: bytes, seconds: float) -> None:
        if not picture.startswith(b"\x89PNG"):
            raise ValueError("not a PNG picture")
        self.done.append((picture, seconds))


@asynccontextmanager
async def control(path: Path, door: Door) -> AsyncIterator[None]:
    server = ControlSocket(path, on_press=door.press, on_show=door.show)
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
    with pytest.raises(OSError, match=r"set button\.control_socket to a shorter one"):
        await ControlSocket(path, on_press=Door().press, on_show=Door().show).start()
