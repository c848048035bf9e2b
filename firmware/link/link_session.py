"""Session with the broker: connects the doorbell, and reconnects for ever.

On each connect: subscribe, publish "online" (retained), send the outbox's events, take commands. No
refusal is final: a revoked certificate and a stopped auth service look alike from here. The will
publishes "offline" when the connection breaks; before a clean end the session does so itself.
"""

import asyncio
import logging
import random
from dataclasses import dataclass

from firmware.errors import ConnectionRefused, DoorwardError
from firmware.link.boot_list import BootList
from firmware.link.command_replies import CommandHandler, CommandReplies
from firmware.link.event_sender import EventSender, EventStore
from firmware.link.mqtt import BrokerAddress, MqttConnection
from firmware.link.rare_warning import RareWarning
from firmware.protocol.commands import Command, Receipt
from firmware.protocol.encoding import MAX_MQTT_BYTES, WireError, decode
from firmware.protocol.events import Health, Status
from firmware.protocol.topics import topic
from firmware.system.backoff import Backoff
from firmware.system.budget import Budget
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners

STEADY_AFTER_S = 10.0
"""A connection that lasted this long makes the next wait short again."""
MAX_COMMANDS_UNDER_WAY = 32
COMMANDS_AT_ONCE = 200
COMMANDS_PER_S = 20.0
"""Several people who join at once need less. Each command costs signatures and storage reads, so a
relay that sends more would take the time that pictures need. Receipts don't count."""
LOOKED_AT_ONCE_BYTES = 4 * 1024 * 1024
LOOKED_AT_BYTES_PER_S = 512 * 1024
LOOKING_COSTS_BYTES = 1024
"""Of all that comes, well-formed or not, before it is parsed: its size and as much for each. An
outbox that empties itself needs a fifth; an event whose receipt is dropped is sent again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Device id, boot id and software version, which the session announces."""

    device: str
    boot_id: str
    version: str


class LinkSession:
    """Keeps one doorbell linked; `run` until cancelled."""

    def __init__(
        self,
        *,
        identity: Identity,
        address: BrokerAddress,
        outbox: EventStore,
        clock: Clock,
        source: random.Random,
        boots: BootList,
        sender: EventSender | None = None,
    ) -> None:
        self.refused = Listeners[()]()
        """Notified at each connect that the broker refuses."""
        self.let_in = Listeners[()]()
        """Notified at each connect that it allows."""
        self._identity = identity
        self._address = address
        self._clock = clock
        self._boots = boots
        self._sender = sender or EventSender(outbox)
        self._answers = CommandReplies(clock)
        self._backoff = Backoff(first_s=0.5, max_s=30, source=source)
        self._connection: MqttConnection | None = None
        self._health: Health | None = None
        self._command_tasks: set[asyncio.Task[None]] = set()
        self._looks = Budget(most=LOOKED_AT_ONCE_BYTES, per_s=LOOKED_AT_BYTES_PER_S)
        self._takes = Budget(most=COMMANDS_AT_ONCE, per_s=COMMANDS_PER_S)
        self._unread = RareWarning(log, "dropped %d messages unread so far: too many at once")
        self._dropped = RareWarning(log, "dropped %d commands so far: too many at once")
        self._malformed = RareWarning(log, "dropped a malformed command: %s (%d so far)")
        self._not_ours = RareWarning(log, "dropped a command for another doorbell (%d so far)")

    @property
    def is_online(self) -> bool:
        """Return whether the broker has let us in and still does."""
        return self._connection is not None

    def set_health(self, health: Health) -> None:
        """Publish the doorbell's health: now, and at each later connect. Call it on the loop."""
        self._health = health
        if self._connection is not None:
            self._connection.publish(self._topic("status"), self._status("online"), retain=True)

    async def run(self, handler: CommandHandler) -> None:
        """Connect, and again whenever the connection breaks; ends only by being cancelled.

        Commands go to `handler`.
        """
        try:
            while True:
                began_s = self._now_s()
                try:
                    await self._live_once(handler)
                except DoorwardError as error:
                    log.warning("link down: %s", error)
                    if isinstance(error, ConnectionRefused):
                        self.refused.notify()
                if self._now_s() - began_s >= STEADY_AFTER_S:
                    self._backoff.reset()
                await asyncio.sleep(self._backoff.next_s())
        finally:
            for task in self._command_tasks:
                task.cancel()

    async def _live_once(self, handler: CommandHandler) -> None:
        connection = MqttConnection(
            self._address,
            client_id=self._identity.device,
            will_topic=self._topic("status"),
            will=self._status("offline"),
        )
        try:
            await connection.open(self._topic("command"))
            await asyncio.to_thread(self._boots.note, self._identity.boot_id)
            connection.publish(self._topic("status"), self._status("online"), retain=True)
            self._connection = connection
            log.info("link up")
            self.let_in.notify()
            await self._serve(connection, handler)
        finally:
            self._connection = None
            await connection.close(self._topic("status"), self._status("offline"))

    async def _serve(self, connection: MqttConnection, handler: CommandHandler) -> None:
        """Send and receive until the connection is gone."""

        def publish_event(payload: bytes) -> None:
            connection.publish(self._topic("event"), payload)

        tasks = {
            asyncio.create_task(self._sender.run(publish_event), name="events"),
            asyncio.create_task(self._receive(connection, handler), name="commands"),
            asyncio.create_task(connection.wait_closed(), name="closed"),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        for task in done:
            task.result()
        log.warning("link down: the connection broke")

    async def _receive(self, connection: MqttConnection, handler: CommandHandler) -> None:
        while True:
            payload = await connection.next_message()
            now_s = self._now_s()
            if not self._looks.take(now_s, len(payload) + LOOKING_COSTS_BYTES):
                self._unread.happened()
                continue
            command = self._parse(payload)
            if command is None:
                continue
            if isinstance(command.body, Receipt):
                await self._sender.take_receipt(command.body.event_ids)
                continue
            if len(self._command_tasks) >= MAX_COMMANDS_UNDER_WAY or not self._takes.take(now_s):
                self._dropped.happened()
                continue
            name = f"command {type(command.body).__name__}"
            task = asyncio.create_task(self._answer(command, handler), name=name)
            self._command_tasks.add(task)
            task.add_done_callback(self._command_tasks.discard)

    def _parse(self, payload: bytes) -> Command | None:
        try:
            command = decode(Command, payload, max_bytes=MAX_MQTT_BYTES)
        except WireError as error:
            self._malformed.happened(error)
            return None
        if command.device != self._identity.device:
            self._not_ours.happened()
            return None
        return command

    async def _answer(self, command: Command, handler: CommandHandler) -> None:
        reply = await self._answers.answer(command, handler)
        if reply is None:
            return
        if self._connection is None:
            log.info("a reply isn't sent until the relay repeats its command: the link is down")
            return
        self._connection.publish(self._topic("reply"), reply)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    def _topic(self, kind: str) -> str:
        return topic(self._identity.device, kind)

    def _status(self, state: str) -> bytes:
        return Status(
            device=self._identity.device,
            state="online" if state == "online" else "offline",
            time_ms=self._clock.wall_ms(),
            boot_id=self._identity.boot_id,
            version=self._identity.version,
            health=self._health if state == "online" else None,
            earlier_boots=list(self._boots.earlier) if state == "online" else [],
        ).encode()
