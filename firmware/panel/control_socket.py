"""The control socket of a doorbell with mock pins: presses, pictures, panel state.

A Unix socket in the data folder, mode 0600. One JSON document a line in, one a line out:
`{"do":"press","pin":"bell"}`, `{"do":"press","pin":"service","hold_s":3.2}`,
`{"do":"show","png_b64":"…","seconds":10}` → `{"ok":true}` or `{"ok":false,"error":"…"}`;
`{"do":"look"}` → `{"ok":true,"light":"watched","light_level":0.6,"chime_pulses":2,…}`.
It can do nothing, and tells nothing, that somebody standing at the door couldn't.
"""

import asyncio
import base64
import binascii
import logging
import os
import socket
import stat
from pathlib import Path
from typing import Annotated, Literal, Protocol

import msgspec

from firmware.errors import ControlError
from firmware.panel.gpio import ButtonName

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 4 * 1024 * 1024
IDLE_TIMEOUT_S = 30.0


class PressOrder(
    msgspec.Struct, frozen=True, tag="press", tag_field="do", forbid_unknown_fields=True
):
    """Hold one button down for a while."""

    pin: ButtonName
    hold_s: Annotated[float, msgspec.Meta(gt=0, le=20)] = 0.15


class ShowOrder(
    msgspec.Struct, frozen=True, tag="show", tag_field="do", forbid_unknown_fields=True
):
    """Hold a picture in front of the camera."""

    png_b64: str
    seconds: Annotated[float, msgspec.Meta(gt=0, le=120)] = 10.0


class LookOrder(
    msgspec.Struct, frozen=True, tag="look", tag_field="do", forbid_unknown_fields=True
):
    """Return the state of the light, the chime and the infrared light."""


class PanelView(msgspec.Struct, frozen=True, kw_only=True):
    """The panel's visible and audible state; `light_level` is from 0 to 1."""

    ok: Literal[True] = True
    light: str
    light_level: float
    chime_pulses: int
    is_infrared_on: bool


class DoorFront(Protocol):
    """The interface of the door's front: presses, pictures, panel state."""

    async def press(self, pin: ButtonName, hold_s: float) -> None:
        """Hold a button down; ControlError if no press was detected."""
        ...

    async def show(self, picture_png: bytes, seconds: float) -> None:
        """Hold a picture before the camera; ValueError if it can't be read."""
        ...

    def look(self) -> PanelView:
        """Return the panel's state and the number of chimes."""
        ...


class ControlSocket:
    """Serves the socket on the running loop."""

    def __init__(self, path: Path, door: DoorFront) -> None:
        self._path = path
        self._door = door
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Bind and listen; a socket that a dead process left behind is replaced."""
        self._server = await asyncio.start_unix_server(
            self._serve, sock=_bind_private(self._path), limit=MAX_LINE_BYTES
        )

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(IDLE_TIMEOUT_S) as idle:
                while line := await reader.readline():
                    idle.reschedule(None)
                    writer.write(await self._answer(line) + b"\n")
                    await writer.drain()
                    idle.reschedule(asyncio.get_running_loop().time() + IDLE_TIMEOUT_S)
        except ValueError:  # StreamReader.readline: the line is longer than the limit
            writer.write(_refusal(f"a line is at most {MAX_LINE_BYTES} bytes") + b"\n")
        except (TimeoutError, ConnectionError) as error:
            log.debug("control connection ended: %s", error)
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> bytes:
        try:
            order = msgspec.json.decode(line, type=PressOrder | ShowOrder | LookOrder)
        except msgspec.DecodeError as error:
            return _refusal(str(error))
        if isinstance(order, PressOrder):
            return await self._press(order)
        if isinstance(order, LookOrder):
            return msgspec.json.encode(self._door.look())
        try:
            await self._door.show(base64.b64decode(order.png_b64, validate=True), order.seconds)
        except (ValueError, binascii.Error) as error:
            return _refusal(f"png_b64: {error}")
        return b'{"ok":true}'

    async def _press(self, order: PressOrder) -> bytes:
        try:
            await self._door.press(order.pin, order.hold_s)
        except ControlError as error:
            return _refusal(str(error))
        return b'{"ok":true}'


def _refusal(error: str) -> bytes:
    return msgspec.json.encode({"ok": False, "error": error})


def _bind_private(path: Path) -> socket.socket:
    """Return a Unix socket bound at `path` that was never open to anybody but this user."""
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise OSError(
            f"can't make the control socket {path}: {error} (a path of more than about 100 "
            "characters is too long: set panel.control_socket to a shorter one)"
        ) from error
    finally:
        os.umask(umask)
    return listener
