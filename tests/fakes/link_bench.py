"""One doorbell, its broker and a relay that remembers, for the tests of the link."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.link.boot_list import BootList
from firmware.link.event_sender import EventSender
from firmware.link.link_session import Identity, LinkSession
from firmware.link.mqtt import BrokerAddress
from firmware.outbox.queue import Outbox
from firmware.protocol.commands import (
    Accepted,
    Command,
    CommandBody,
    Receipt,
    Reply,
    ReplyBody,
)
from firmware.protocol.encoding import decode, new_id
from firmware.protocol.events import Event, Pressed, Status
from firmware.system.clock import SystemClock
from tests.fakes.broker import Broker
from tests.fakes.fleet_ca import FleetCa
from tests.fakes.waiting import eventually


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Relay:
    """Commits events in a list, gives receipts, and notes status and replies."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.committed: list[Event] = []
        self.received = 0
        self.statuses: list[Status] = []
        self.replies: list[Reply] = []
        self.gives_receipts = True

    async def join(self, broker: Broker) -> None:
        self.nats = await broker.client()
        await self.nats.subscribe("dw.*.event", cb=self._on_event)
        await self.nats.subscribe("dw.*.status", cb=self._on_status)
        await self.nats.subscribe("dw.*.reply", cb=self._on_reply)
        await self.nats.flush()

    async def _on_event(self, message: Msg) -> None:
        event = decode(Event, message.data)
        self.received += 1
        if not self.gives_receipts:
            return
        if event.id not in {known.id for known in self.committed}:
            self.committed.append(event)
        await self.command(Receipt(event_ids=[event.id]))

    async def _on_status(self, message: Msg) -> None:
        self.statuses.append(decode(Status, message.data))

    async def _on_reply(self, message: Msg) -> None:
        self.replies.append(decode(Reply, message.data))

    async def command(
        self,
        body: CommandBody,
        *,
        command_id: str | None = None,
        life_ms: int = 60_000,
        device: str | None = None,
    ) -> str:
        command = Command(
            id=command_id or new_id(),
            device=device or self.device,
            time_ms=wall_ms(),
            expires_ms=wall_ms() + life_ms,
            body=body,
        )
        await self.publish(command.encode())
        return command.id

    async def publish(self, payload: bytes) -> None:
        await self.nats.publish(f"dw.{self.device}.command", payload)

    def states(self) -> list[str]:
        return [status.state for status in self.statuses]


class Bench:
    """One doorbell, its broker and its relay."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = FleetCa()
        self.keys: DeviceKeys = load_or_make_keys(folder)
        self.device = self.keys.device
        csr_pem = self.keys.signer.certificate_request(self.device)
        (folder / "ca.pem").write_text(self.ca.pem)
        (folder / "certificate.pem").write_text(self.ca.sign_request(csr_pem))
        self.broker = self.make_broker()
        self.relay = Relay(self.device)
        self.outbox = Outbox(folder / "outbox.sqlite3", self.device)
        self.commands: list[Command] = []
        self.takes_s = 0.05

    def make_broker(self, ca: FleetCa | None = None, host: str = "localhost") -> Broker:
        certificate, key = (ca or self.ca).write_server(self.folder, host)
        ca_file = self.folder / "ca.pem"
        return Broker(self.folder, ca=ca_file, certificate=certificate, key=key)

    def press(self, count: int = 1) -> list[Event]:
        return [
            self.outbox.append(Pressed(), time_ms=1000 + i, is_clock_trusted=True)
            for i in range(count)
        ]

    async def handle(self, command: Command) -> ReplyBody | None:
        self.commands.append(command)
        await asyncio.sleep(self.takes_s)
        return Accepted()

    def session(self, *, port: int | None = None, resend_after_s: float = 10) -> LinkSession:
        return LinkSession(
            identity=Identity(device=self.device, boot_id=new_id(), version="1"),
            address=BrokerAddress(
                host="localhost",
                port=port or self.broker.mqtt_port,
                ca_file=self.folder / "ca.pem",
                certificate_file=self.folder / "certificate.pem",
                key_file=self.keys.identity_file,
            ),
            outbox=self.outbox,
            clock=SystemClock(),
            source=random.Random(1),
            boots=BootList(self.folder / "boots.json"),
            sender=EventSender(self.outbox, resend_after_s=resend_after_s),
        )

    @asynccontextmanager
    async def linked(self, session: LinkSession | None = None) -> AsyncIterator[LinkSession]:
        session = session or self.session()
        task = asyncio.create_task(session.run(self))
        try:
            await eventually(lambda: session.is_online)
            yield session
        finally:
            await end(task)


async def end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@asynccontextmanager
async def cuttable(port: int) -> AsyncIterator[tuple[int, Callable[[], Awaitable[None]]]]:
    """A wire to `port` that can be cut: nobody gets to say goodbye."""
    writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((writer, far_writer))
        pumps = [pump(reader, far_writer), pump(far_reader, writer)]
        await asyncio.gather(*pumps, return_exceptions=True)

    async def cut() -> None:
        for writer in writers:
            writer.transport.abort()
        writers.clear()

    server = await asyncio.start_server(join, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], cut
    finally:
        server.close()
        await cut()
