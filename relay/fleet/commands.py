"""Commands to doorbells: published, and repeated until the doorbell answers.

What the broker hands to an MQTT subscriber can get lost, so a command is repeated after 1 s,
2 s, 4 s … 30 s, and at once when its doorbell says that it is online, until its reply or its
expiry. Every command is idempotent by id. What is *sent* is kept, and a relay that starts takes
up what is unanswered; of owners' statements, which any session may send, a bounded number waits
for one doorbell; and of what a doorbell brings about itself, of each kind only the newest about one
package or commitment. What is *told* is of use now or not at all, and isn't kept. What is *asked*,
while somebody waits for the reply, is of use to nobody later and often says where somebody is: it
is never written down.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from firmware.protocol.commands import Command, CommandBody, Reply, ReplyBody, SealedStatement
from firmware.protocol.encoding import MAX_MQTT_BYTES, WireError, new_id
from relay.base.allowances import Allowances, Rate, RateExceeded
from relay.base.clock import Clock
from relay.bus import Bus
from relay.errors import BusUnavailable, CommandUnanswered, RelayError, UnknownDoorbell
from relay.fleet.message_parser import parse_device_message
from relay.fleet.pending_commands import Pending, PendingCommands
from relay.store import commands, fleet
from relay.store.database import Database, Transaction

log = logging.getLogger(__name__)

IDLE_S = 60.0
UNKNOWN_REPLIES = Rate(at_once=50, each_s=0.5)
"""Replies of one doorbell to commands that this relay doesn't repeat: another replica's, or none's.
Each costs a write, so a flood of them would hold up everybody's."""
ASK_TIMEOUT_S = 8.0
FULL_RETRY_S = 60
MAX_OF_KIND = 16
AT_ONCE = 100
"""So many are encoded or published before others have their turn."""


class CommandTooLarge(RelayError):
    """A command exceeds the broker's size limit."""


def _unknown(device: str) -> UnknownDoorbell:
    return UnknownDoorbell(f"no doorbell {device} is enrolled here")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    device: str
    reply: asyncio.Future[ReplyBody]


class Commands:
    """Sends commands and takes replies."""

    def __init__(self, *, bus: Bus, database: Database, clock: Clock) -> None:
        self._bus = bus
        self._database = database
        self._clock = clock
        self._pending = PendingCommands()
        self._asked: dict[str, _Asked] = {}
        self._told: dict[tuple[str, type[CommandBody]], str] = {}
        self._wake = asyncio.Event()
        self._is_listening = False
        self._unknown_replies = Allowances(clock)

    async def run(self) -> None:
        """Receive replies, and repeat unanswered commands, until cancelled."""
        if not self._is_listening:  # a supervisor may run this again
            await self._bus.on_replies(self.take_reply)
            self._is_listening = True
        async with self._database.read() as tx:
            left = await commands.unanswered(tx, now_ms=self._clock.wall_ms())
        for command in left:
            self._pending.add(command)
        while True:
            self._wake.clear()
            delay_s = await self._publish_due()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):  # wait_for may lose a cancellation (3.11)
                    await self._wake.wait()

    async def send(self, device: str, body: CommandBody, expires_ms: int) -> str:
        """Keep a command and repeat it until it is answered; return its id.

        Raises UnknownDoorbell, CommandTooLarge for more than the broker carries, or RateExceeded
        while too many statements wait for this doorbell.
        """
        async with self._database.begin() as tx:
            if isinstance(body, SealedStatement):
                now_ms = self._clock.wall_ms()
                waiting = await commands.count_waiting(tx, device, SealedStatement, now_ms=now_ms)
                if waiting >= commands.MAX_STATEMENTS:
                    raise RateExceeded(FULL_RETRY_S)
            command = await self.add(tx, device, body, expires_ms)
        self.dispatch(command)
        return command.id

    async def send_few(self, device: str, body: CommandBody, expires_ms: int) -> None:
        """Do as `send`, unless MAX_OF_KIND commands of its kind wait for the doorbell already.

        For what a doorbell can bring about as often as it likes.
        """
        async with self._database.begin() as tx:
            command = await self.add_few(tx, device, body, expires_ms)
        if command is not None:
            self.dispatch(command)

    async def add_few(
        self, tx: Transaction, device: str, body: CommandBody, expires_ms: int
    ) -> Command | None:
        """Do as `add`, with the bound of `send_few`; None: so many wait already."""
        now_ms = self._clock.wall_ms()
        if await commands.count_waiting(tx, device, type(body), now_ms=now_ms) >= MAX_OF_KIND:
            return None
        return await self.add(tx, device, body, expires_ms)

    async def ask(
        self, device: str, body: CommandBody, timeout_s: float = ASK_TIMEOUT_S
    ) -> ReplyBody:
        """Send a command without keeping it, and wait for its reply.

        Raises CommandUnanswered, UnknownDoorbell or CommandTooLarge.
        """
        expires_ms = self._clock.wall_ms() + int(timeout_s * 1000)
        async with self._database.read() as tx:
            if not await fleet.is_active(tx, device):
                raise _unknown(device)
        command = self._command(device, body, expires_ms)
        asked = _Asked(device=device, reply=asyncio.get_running_loop().create_future())
        self._asked[command.id] = asked
        self.dispatch(command)
        try:
            async with asyncio.timeout(timeout_s):
                return await asked.reply
        except TimeoutError as error:
            raise CommandUnanswered(f"the doorbell didn't answer in {timeout_s:g} s") from error
        finally:
            del self._asked[command.id]
            self._pending.drop(command.id)

    async def tell(self, device: str, body: CommandBody, expires_ms: int) -> None:
        """Send a command without storing it; it replaces an older one of its kind.

        It is repeated until it is answered or over, as long as this relay runs: for what is of use
        now or not at all. Raises UnknownDoorbell or CommandTooLarge.
        """
        async with self._database.read() as tx:
            if not await fleet.is_active(tx, device):
                raise _unknown(device)
        self._tell(*self._encoded(device, body, expires_ms))
        self._wake.set()

    async def send_to_each(self, bodies: Mapping[str, CommandBody], expires_ms: int) -> None:
        """Do as `tell` for many doorbells; who is no longer enrolled is left out."""
        async with self._database.read() as tx:
            active = await fleet.active_devices(tx)
        for number, (device, body) in enumerate(bodies.items()):
            if device in active:
                self._tell(*self._encoded(device, body, expires_ms))
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)  # there is more to do than this
        self._wake.set()

    async def add(
        self, tx: Transaction, device: str, body: CommandBody, expires_ms: int
    ) -> Command:
        """Keep a command as part of a transaction; `dispatch` it once that is committed."""
        if not await fleet.is_active(tx, device):
            raise _unknown(device)
        command = self._command(device, body, expires_ms)
        await commands.add(tx, command)
        return command

    def _command(self, device: str, body: CommandBody, expires_ms: int) -> Command:
        return self._encoded(device, body, expires_ms)[0]

    def _encoded(self, device: str, body: CommandBody, expires_ms: int) -> tuple[Command, bytes]:
        command = Command(
            id=new_id(),
            device=device,
            time_ms=self._clock.wall_ms(),
            expires_ms=expires_ms,
            body=body,
        )
        data = command.encode()
        if len(data) > MAX_MQTT_BYTES:
            raise CommandTooLarge(f"a command of {len(data)} bytes, at most {MAX_MQTT_BYTES}")
        return command, data

    def dispatch(self, command: Command) -> None:
        """Publish a command now, and again until it is answered; one that it replaces no more."""
        topic = commands.topic_of(command)
        if topic is not None:
            for other in self._pending.of_device(command.device):
                if commands.topic_of(other) == topic:
                    self._pending.drop(other.id)
        self._pending.add(command)
        self._wake.set()

    async def doorbell_online(self, device: str) -> None:
        """Repeat this doorbell's unanswered commands at once."""
        self._pending.hasten(device)
        self._wake.set()

    async def take_reply(self, subject: str, data: bytes) -> None:
        """Store a doorbell's reply and wake the tasks that wait for it."""
        try:
            reply = parse_device_message(Reply, subject, data)
        except WireError as error:
            log.warning("reply on %s refused: %s", subject, error)
            return
        asked = self._asked.get(reply.in_reply_to)
        if asked is not None:
            if asked.device == reply.device and not asked.reply.done():
                asked.reply.set_result(reply.body)
            return
        if self._is_told(reply):
            self._pending.drop(reply.in_reply_to)
            return
        if not self._may_be_ours(reply):
            return
        async with self._database.begin() as tx:
            await commands.answer(tx, reply, answered_ms=self._clock.wall_ms())
        # Another replica may have stored the reply, or have replaced the command.
        if self._is_of(reply):
            self._pending.drop(reply.in_reply_to)

    def _may_be_ours(self, reply: Reply) -> bool:
        """Return whether a reply is looked up: it answers a command of ours, or there are few."""
        if self._is_of(reply):
            return True
        try:
            self._unknown_replies.take(reply.device, UNKNOWN_REPLIES)
        except RateExceeded:
            return False
        return True

    def _is_of(self, reply: Reply) -> bool:
        """Return whether a reply is of the doorbell to whose command, repeated here, it is one."""
        command = self._pending.find(reply.in_reply_to)
        return command is not None and command.device == reply.device

    def _is_told(self, reply: Reply) -> bool:
        """Return whether this answers a command that isn't kept."""
        command = self._pending.find(reply.in_reply_to)
        if command is None:
            return False
        return self._told.get((reply.device, type(command.body))) == reply.in_reply_to

    def _tell(self, command: Command, data: bytes) -> None:
        kind = (command.device, type(command.body))
        self._pending.drop(self._told.get(kind, ""))
        self._told[kind] = command.id
        self._pending.add(command, data)

    async def _publish_due(self) -> float:
        """Publish the commands that are due; return the time until the next."""
        now_ms, loop = self._clock.wall_ms(), asyncio.get_running_loop()
        for number, pending in enumerate(self._pending.take_due(loop.time())):
            if now_ms >= pending.command.expires_ms:
                self._pending.drop(pending.command.id)
                continue
            await self._publish(pending)
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        due = self._pending.next_at()
        return IDLE_S if due is None else max(0.0, due - loop.time())

    async def _publish(self, pending: Pending) -> None:
        try:
            await self._bus.publish_command(pending.command.device, pending.data)
        except BusUnavailable as error:
            log.warning("command %s waits for the broker: %s", pending.command.id, error)
