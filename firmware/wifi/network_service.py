"""The way to the helper that may change networks: one file with a request, one with its result.

The request lies in the unit's runtime folder, in memory, where doorward-wifi.path sees it; the
helper removes it, does what it says if that is within its own rules, and writes the result into a
folder of its own. The form is the helper's (provisioning/wifi_helper.py), and so are the rules.
"""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Protocol

import msgspec

from firmware.protocol.encoding import Document, Id, WireError, decode, new_id
from firmware.protocol.wifi import WifiNetwork
from firmware.system.clock import MonotonicClock, monotonic_s
from firmware.system.durable_files import write_atomic
from firmware.wifi.errors import NotJoined, NotJoinedReason, ServiceUnreachable
from firmware.wifi.kept_network import NetworkForm, form_of

log = logging.getLogger(__name__)

REQUEST = "wifi-request"
RESULT = "result.json"
JOIN_S = 75.0
"""NetworkManager is given 45 s; the rest is the helper's start on a slow board."""
ANSWER_S = 30.0
LOOK_EVERY_S = 0.2
MAX_RESULT_BYTES = 4096

Order = Literal["try", "keep", "return"]


class ServiceRequest(Document, frozen=True, kw_only=True):
    """What the helper is asked; `network` belongs to "try"."""

    v: Literal[1] = 1
    id: Id
    do: Order
    network: NetworkForm | None = None


class ServiceAnswer(Document, frozen=True, kw_only=True):
    """What the helper did; `interface` names the radio that joined."""

    v: Literal[1] = 1
    id: Id
    state: Literal["joined", "kept", "returned", "refused", "wrong_password", "not_found", "failed"]
    detail: Annotated[str, msgspec.Meta(max_length=400)] = ""
    interface: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_.-]{0,15}\Z")] = ""


class Networks(Protocol):
    """Who changes networks: the helper, or a test's radio."""

    async def join(self, network: WifiNetwork) -> str:
        """Join a network for a trial; return the interface. NotJoined, or ServiceUnreachable."""
        ...

    async def keep(self) -> None:
        """Stay in the network of the trial; WifiError if it was left already."""
        ...

    async def go_back(self) -> None:
        """Leave the network of the trial, for the one before; ServiceUnreachable."""
        ...


class NetworkService:
    """Asks the helper. Implements `Networks`."""

    def __init__(
        self, environment: Mapping[str, str], *, clock: MonotonicClock, join_s: float = JOIN_S
    ) -> None:
        """`environment` names the unit's runtime folder: RUNTIME_DIRECTORY (systemd.exec(5))."""
        folder = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        self._folder = Path(folder) if folder else None
        self._clock = clock
        self._join_s = join_s

    async def join(self, network: WifiNetwork) -> str:
        """Join a network for a trial; return the interface. NotJoined, or ServiceUnreachable."""
        result = await self._ask("try", self._join_s, network)
        if result.state != "joined":
            raise NotJoined(_reason_of(result), result.detail or result.state)
        return result.interface

    async def keep(self) -> None:
        """Stay in the network of the trial; WifiError if it was left already."""
        result = await self._ask("keep", ANSWER_S)
        if result.state != "kept":
            raise NotJoined("failed", result.detail or "the helper had left the network already")

    async def go_back(self) -> None:
        """Leave the network of the trial, for the one before; ServiceUnreachable."""
        await self._ask("return", ANSWER_S)

    async def _ask(
        self, order: Order, within_s: float, network: WifiNetwork | None = None
    ) -> ServiceAnswer:
        if self._folder is None:
            raise ServiceUnreachable("no RUNTIME_DIRECTORY: networks can't be changed from here")
        form = None if network is None else form_of(network)
        request = ServiceRequest(id=new_id(), do=order, network=form)
        result_file = self._folder.with_name(self._folder.name + "-wifi") / RESULT
        try:
            await asyncio.to_thread(write_atomic, self._folder / REQUEST, request.encode())
        except OSError as error:
            raise ServiceUnreachable(f"the helper can't be asked: {error}") from error
        end_s = monotonic_s(self._clock) + within_s
        while monotonic_s(self._clock) < end_s:
            result = await asyncio.to_thread(_read, result_file)
            if result is not None and result.id == request.id:
                return result
            await asyncio.sleep(LOOK_EVERY_S)
        await asyncio.to_thread((self._folder / REQUEST).unlink, missing_ok=True)
        raise ServiceUnreachable(
            "the helper that changes networks doesn't answer: see doorward-wifi"
        )


def _read(path: Path) -> ServiceAnswer | None:
    try:
        with path.open("rb") as file:
            return decode(
                ServiceAnswer, file.read(MAX_RESULT_BYTES + 1), max_bytes=MAX_RESULT_BYTES
            )
    except (OSError, WireError):  # not there yet, or another's
        return None


def _reason_of(result: ServiceAnswer) -> NotJoinedReason:
    match result.state:
        case "wrong_password" | "not_found" as reason:
            return reason
        case _:
            return "failed"
