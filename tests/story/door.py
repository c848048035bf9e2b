"""At the door: the buttons, what stands before the camera, and the doorbell's own page."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zxingcpp
from PIL import Image

from tests.story.api import Api, Json, ask_until
from tests.story.settings import StoryError

QR_MODULE_PX = 8
QR_MARGIN_PX = 48


class Door:
    """One doorbell as somebody sees it who stands before it, or at home on its network."""

    def __init__(self, url: str, control_socket: Path) -> None:
        self.page = Api(url, origin=url)
        self._socket = control_socket

    async def ring(self) -> None:
        """Press the bell."""
        await self._control({"do": "press", "pin": "bell"})

    async def hold_service_button(self, hold_s: float = 3.2) -> None:
        """Hold the service button inside the case."""
        await self._control({"do": "press", "pin": "service", "hold_s": hold_s})

    async def press_service_button(self) -> None:
        """Press the service button shortly: the second press of a pairing."""
        await self._control({"do": "press", "pin": "service"})

    async def light(self) -> str:
        """Look at the light: the state that it shows."""
        answer = await self._control({"do": "look"})
        return str(answer["light"])

    async def show(self, png: bytes, seconds: float) -> None:
        """Hold a picture before the camera."""
        picture = base64.b64encode(png).decode()
        await self._control({"do": "show", "png_b64": picture, "seconds": seconds})

    @asynccontextmanager
    async def showing(self, png: bytes, seconds: float) -> AsyncIterator[None]:
        """Hold a picture before the camera so long, and anew until what it is for has come.

        A slow machine may take longer to read it.
        """
        await self.show(png, seconds)

        async def again() -> None:
            while True:
                await asyncio.sleep(seconds)
                await self.show(png, seconds)

        holding = asyncio.create_task(again(), name="held before the camera")
        try:
            yield
        finally:
            holding.cancel()
            await asyncio.wait([holding])

    async def wait_until_online(self, timeout_s: float = 20.0) -> Json:
        """Wait until the page says that the doorbell reaches its relay; return its status."""
        return await ask_until(
            "the doorbell is online",
            lambda: self.page.get("/"),
            lambda status: bool(status["is_online"]),
            timeout_s=timeout_s,
        )

    async def pairing(self) -> Json:
        """Return what the page says about pairing: its state, and the four words."""
        return await self.page.get("/pair")

    async def wait_until_pairing_is(self, state: str, timeout_s: float) -> Json:
        """Wait until the page shows this state of the pairing."""
        return await ask_until(
            f"the doorbell's page says that pairing is {state}",
            self.pairing,
            lambda shown: bool(shown["state"] == state),
            timeout_s=timeout_s,
        )

    async def choose_number(self, door_number: str) -> None:
        """Set the door number after the second press, which pairs."""
        await self.page.post_form("/pair", {"door_number": door_number})

    async def unlock(self, door_number: str) -> None:
        """Type the door number."""
        await self.page.post_form("/unlock", {"door_number": door_number})

    async def wait_for_statement(self, digest: str, timeout_s: float = 20.0) -> Json:
        """Return the waiting statement with this digest as the page shows it."""
        answer = await ask_until(
            "the doorbell's page asks for a confirmation",
            lambda: self.page.get("/confirm"),
            lambda answer: any(waiting["digest"] == digest for waiting in answer["waiting"]),
            timeout_s=timeout_s,
        )
        return next(waiting for waiting in answer["waiting"] if waiting["digest"] == digest)

    async def clip(self, digest: str, number: int = 1) -> bytes:
        """Return what a waiting grant gives of its clip `number`, as the unlocked page plays it."""
        path = f"/clips/{digest}/{number}.mp4"
        answer = await self.page.request("GET", path, headers={"Accept": "video/mp4"})
        if not answer.is_success:
            raise StoryError(f"the doorbell's page doesn't play the clip: {answer.status_code}")
        return answer.content

    async def confirm(self, digest: str) -> None:
        """Press "Release" (or "Add" for a new owner)."""
        await self.page.post_form(f"/confirm/{digest}", {})

    async def close(self) -> None:
        """Close all connections."""
        await self.page.close()

    async def _control(self, order: dict[str, Any]) -> Json:  # Any: JSON
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._socket))
        except OSError as error:
            raise StoryError(f"no doorbell listens at {self._socket}: {error}") from error
        try:
            writer.write(json.dumps(order).encode() + b"\n")
            await writer.drain()
            answer: Json = json.loads(await reader.readline())
        except (OSError, ValueError) as error:
            raise StoryError(f"the doorbell didn't answer: {error}") from error
        finally:
            writer.close()
        if not answer["ok"]:
            raise StoryError(f"the doorbell refused {order['do']}: {answer['error']}")
        return answer


def qr_png(text: str) -> bytes:
    """Return a QR code on a white page as PNG."""
    barcode = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="L")
    drawn = zxingcpp.write_barcode_to_image(barcode, scale=QR_MODULE_PX)
    code = Image.fromarray(np.asarray(drawn))
    page = Image.new("L", (code.width + 2 * QR_MARGIN_PX, code.height + 2 * QR_MARGIN_PX), 255)
    page.paste(code, (QR_MARGIN_PX, QR_MARGIN_PX))
    file = io.BytesIO()
    page.save(file, "PNG")
    return file.getvalue()
