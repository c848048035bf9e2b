"""Two devices with copies of one card, at the real broker."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from firmware.protocol.commands import CardCloned
from firmware.protocol.encoding import new_id
from firmware.protocol.events import Status
from relay.store import fleet, statuses
from tests.fakes.waiting import PATIENCE_S
from tests.relay.doorbells import Connection, Doorbell, enrol
from tests.relay.servers import Relay

pytestmark = [pytest.mark.services]


class Device:
    """One device with a copy of a doorbell's card: it connects whenever it is thrown off."""

    def __init__(self, doorbell: Doorbell, earlier: tuple[str, ...] = ()) -> None:
        self.doorbell = doorbell
        self.boot_id = new_id()
        self.earlier = earlier

    def start_again(self) -> None:
        self.earlier, self.boot_id = (self.boot_id, *self.earlier), new_id()

    def status(self) -> Status:
        return msgspec.structs.replace(
            self.doorbell.status("online"), boot_id=self.boot_id, earlier_boots=list(self.earlier)
        )

    async def connect(self) -> Connection:
        line = await self._open()
        assert await asyncio.to_thread(line.subscribe, f"dw/{self.doorbell.device}/command")
        await asyncio.to_thread(line.publish, "status", self.status().encode())
        return line

    async def _open(self) -> Connection:
        """Connect; the broker keeps a client id out for a second that throws itself off."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await asyncio.to_thread(self.doorbell.open)
                except PermissionError:
                    await asyncio.sleep(0.2)


async def eventually(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await is_so():  # noqa: ASYNC110 - a database has no event
            await asyncio.sleep(0.02)


async def is_cloned(relay: Relay, device: str) -> bool:
    async with relay.database.read() as tx:
        return await fleet.is_cloned(tx, device)


async def knows(relay: Relay, device: Device) -> bool:
    async with relay.database.read() as tx:
        rows = await statuses.read(tx, [device.doorbell.device])
    return device.boot_id in (rows[device.doorbell.device].history or "")


async def is_warned(line: Connection) -> bool:
    """Wait for the warning, whatever else comes before it."""
    while not isinstance((await asyncio.to_thread(line.next_command)).body, CardCloned):
        pass
    return True


async def test_devices_that_throw_each_other_off_are_found_and_both_warned(
    relay: Relay, tmp_path: Path
) -> None:
    doorbell = await enrol(relay, tmp_path)
    own, copy = Device(doorbell), Device(doorbell)
    lines = []
    for device in (own, copy):
        lines.append(await device.connect())
        await eventually(lambda device=device: knows(relay, device))
    assert await asyncio.to_thread(lines[0].lost.get, timeout=PATIENCE_S)
    assert not await is_cloned(relay, doorbell.device)
    lines.append(await own.connect())
    await eventually(lambda: is_cloned(relay, doorbell.device))
    assert await is_warned(lines[-1])
    lines.append(await copy.connect())
    assert await is_warned(lines[-1])
    for line in lines:
        await asyncio.to_thread(line.close)


async def test_one_device_that_starts_and_loses_its_line_is_none(
    relay: Relay, tmp_path: Path
) -> None:
    doorbell = await enrol(relay, tmp_path)
    device = Device(doorbell)
    lines = []
    for _ in range(3):  # each connects before the broker knows that the last one is gone
        for _ in range(2):
            lines.append(await device.connect())
            await eventually(lambda: knows(relay, device))
        device.start_again()
    for line in lines:
        await asyncio.to_thread(line.close)
    assert not await is_cloned(relay, doorbell.device)
