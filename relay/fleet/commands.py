"""Commands to doorbells: published, and repeated until the doorbell answers.

What the broker hands to an MQTT subscriber can get lost, so a command is repeated after 1 s,
2 s, 4 s … 30 s, and at once when its doorbell says that it is online, until its reply or its
expiry. Every command is idempotent by id. What is *sent* is kept; of owners' statements, which any
session may send, a bounded number waits for one doorbell; and of what a doorbell brings about
itself, of each kind only the newest about one package or commitment. What is *told* is of use now
or not at all, and isn't kept. What is *asked*, while somebody waits for the reply, is of use to
nobody later and often says where somebody is: it is never written down.

Of several processes the owner of the doorbell's partition repeats what is kept (partitions.py).
Whoever sends publishes once and tells the owner; the next owner takes up what is unanswered. One
process takes a reply, stores it and tells all, so nobody repeats what is answered; told and asked
commands stay with their process, to which their replies are handed on (command_signals.py).

Replies to what is kept are stored by tasks beside: the broker's client hands over one reply after
the other, and those that somebody waits for mustn't wait for a database that commits nothing. A
bounded number is being stored; one more is dropped, as its command is repeated and answered again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from firmware.protocol.commands import Command, CommandBody, Reply, ReplyBody, SealedStatement
from firmware.protocol.encoding import MAX_MQTT_BYTES, WireError, new_id
from relay.base.allowances import Allowances, Rate, RateExceeded
from relay.base.clock import Clock
from relay.bus import Bus, partition_of
from relay.errors import BusUnavailable, CommandUnanswered, RelayError, UnknownDoorbell
from relay.fleet.command_signals import CommandSignal, CommandSignals, asker_of, is_asked_by
from relay.fleet.message_parser import parse_device_message
from relay.fleet.partitions import Ownership, WholeFleet
from relay.fleet.pending_commands import FIRST_REPEAT_S, PendingCommands
from relay.store import commands, fleet
from relay.store.database import AWAY, Database, Transaction, reason_of

log = logging.getLogger(__name__)

IDLE_S = 60.0
LOOK_BACK_MS = 600_000
"""Each IDLE_S an owner looks for what was sent in that time, in case the sender's word got lost."""
UNKNOWN_REPLIES = Rate(at_once=50, each_s=0.5)
"""Replies of one doorbell to commands that this process doesn't repeat: another's, or none's. Each
costs a look into the database, so a flood of them would hold up everybody."""
ASK_TIMEOUT_S = 8.0
FULL_RETRY_S = 60
MAX_OF_KIND = 16
MAX_STORING = 1_000
"""Replies that wait to be stored, one of each command."""
LOOKED_UP_AT_ONCE = 2
"""Of replies: each takes a connection, and requests need some as well."""
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

    def __init__(
        self,
        *,
        bus: Bus,
        database: Database,
        clock: Clock,
        partitions: Ownership | None = None,
    ) -> None:
        self._bus = bus
        self._database = database
        self._clock = clock
        self._partitions = partitions or WholeFleet()
        self._signals = CommandSignals(bus, self._partitions)
        self._pending = PendingCommands()
        self._sent: list[tuple[Command, bytes]] = []  # here, of partitions of others
        self._ended: list[set[str]] = []  # what is answered while a look is under way
        self._owned: frozenset[int] = frozenset()
        self._unread: frozenset[int] = frozenset()  # partitions of which nothing was looked up yet
        self._looked_ms = clock.wall_ms()
        self._look_at = 0.0
        self._asked: dict[str, _Asked] = {}
        self._told: dict[tuple[str, type[CommandBody]], str] = {}
        self._wake = asyncio.Event()
        self._is_listening = False
        self._unknown_replies = Allowances(clock)
        self._storing: dict[tuple[str, str], asyncio.Task[None]] = {}  # by doorbell and command
        self._look_up = asyncio.Semaphore(LOOKED_UP_AT_ONCE)
        self._store_turn = asyncio.Lock()  # of all writers here one stores replies

    async def run(self) -> None:
        """Receive replies, and repeat unanswered commands, until cancelled."""
        try:
            await self._run()
        finally:
            await self._drop_storing()

    async def _run(self) -> None:
        if not self._is_listening:  # a supervisor may run this again
            self._partitions.on_change(self._take_over)
            await self._signals.start(
                sent=self._hear_sent,
                ended=self._hear_ended,
                online=self._hear_online,
                reply=self._take_own,
            )
            await self._bus.on_replies(self.take_reply)
            self._is_listening = True
        self._take_over(self._partitions.owned)
        self._unread = self._owned
        while True:
            self._wake.clear()
            await self._look()
            await self._publish_sent()
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
        command, data = self._encoded(self._signals.new_asked_id(), device, body, expires_ms)
        asked = _Asked(device=device, reply=asyncio.get_running_loop().create_future())
        self._asked[command.id] = asked
        self._pending.add(command, data, is_kept=False)
        self._wake.set()
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
        self._tell(*self._encoded(self._signals.new_asked_id(), device, body, expires_ms))
        self._wake.set()

    async def send_to_each(self, bodies: Mapping[str, CommandBody], expires_ms: int) -> None:
        """Do as `tell` for many doorbells; who is no longer enrolled is left out."""
        async with self._database.read() as tx:
            active = await fleet.active_devices(tx)
        for number, (device, body) in enumerate(bodies.items()):
            if device in active:
                self._tell(*self._encoded(self._signals.new_asked_id(), device, body, expires_ms))
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)  # there is more to do than this
        self._wake.set()

    async def add(
        self, tx: Transaction, device: str, body: CommandBody, expires_ms: int
    ) -> Command:
        """Keep a command as part of a transaction; `dispatch` it once that is committed."""
        if not await fleet.is_active(tx, device):
            raise _unknown(device)
        command, _ = self._encoded(new_id(), device, body, expires_ms)
        await commands.add(tx, command, partition=partition_of(device))
        return command

    def _encoded(
        self, command_id: str, device: str, body: CommandBody, expires_ms: int
    ) -> tuple[Command, bytes]:
        command = Command(
            id=command_id,
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
        if self._partitions.owns(command.device):
            self._repeat(command)
        else:
            self._sent.append((command, command.encode()))
        self._wake.set()

    async def doorbell_online(self, device: str) -> None:
        """Have this doorbell's unanswered commands repeated at once, by whoever repeats them."""
        self._hasten(device)
        await self._signals.tell("online", device)

    async def take_reply(self, subject: str, data: bytes) -> None:
        """Have a doorbell's reply stored, or wake the tasks that wait for it here or elsewhere."""
        reply = _parse(subject, data)
        if reply is None or self._settle(reply):
            return
        command_id = reply.in_reply_to
        if self._partitions.is_member(asker_of(command_id)):
            await self._signals.forward(reply.device, command_id, data)
        elif self._may_be_kept(reply):
            self._begin_storing(reply, data)

    async def _take_own(self, subject: str, data: bytes) -> None:
        """Take a reply to what was told or asked here, from the process that it came to."""
        reply = _parse(subject, data)
        if reply is not None:
            self._settle(reply)

    def _settle(self, reply: Reply) -> bool:
        """Take a reply to what was told or asked here; return whether it is none of others."""
        asked = self._asked.get(reply.in_reply_to)
        if asked is not None:
            if asked.device == reply.device and not asked.reply.done():
                asked.reply.set_result(reply.body)
        elif self._is_told(reply):
            self._pending.drop(reply.in_reply_to)
        return is_asked_by(self._partitions.member, reply.in_reply_to)

    def _begin_storing(self, reply: Reply, data: bytes) -> None:
        command_id = reply.in_reply_to
        key = (reply.device, command_id)
        if key in self._storing:  # the same once more: the first reply is the one that counts
            return
        if len(self._storing) >= MAX_STORING:
            log.warning("too many replies wait for the database: one to %s is dropped", command_id)
            return
        storing = self._store_or_forward(reply, data)
        task = asyncio.create_task(storing, name=f"reply to {command_id}")
        self._storing[key] = task
        task.add_done_callback(lambda done: self._end_storing(key, done))

    def _end_storing(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        del self._storing[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            why = None if isinstance(error, AWAY) else error
            log.warning("the reply to %s isn't stored: %s", key[1], reason_of(error), exc_info=why)

    async def _drop_storing(self) -> None:
        storing = list(self._storing.values())
        for task in storing:
            task.cancel()
        await asyncio.gather(*storing, return_exceptions=True)

    async def _store_or_forward(self, reply: Reply, data: bytes) -> None:
        if not await self._store(reply):
            # Of a process that is about to end, perhaps, or of one that isn't known yet.
            await self._signals.forward(reply.device, reply.in_reply_to, data)

    async def _store(self, reply: Reply) -> bool:
        """Store the reply to a command that is kept; return whether it is one."""
        async with self._look_up, self._database.read() as tx:
            row = await commands.get(tx, reply.in_reply_to)
        if row is None or row.command.device != reply.device:
            # One that was replaced: it isn't in the database any more.
            if self._is_of(reply):
                self._pending.drop(reply.in_reply_to)
            return False
        if row.answered_ms is None:
            async with self._store_turn, self._database.begin() as tx:
                await commands.answer(tx, reply, answered_ms=self._clock.wall_ms())
        # Also if it was stored before: whoever repeats it still hasn't heard.
        self._end(reply.device, reply.in_reply_to)
        await self._signals.tell("ended", reply.device, reply.in_reply_to)
        return True

    def _end(self, device: str, command_id: str) -> None:
        for ended in self._ended:
            ended.add(command_id)
        command = self._pending.find(command_id)
        if command is not None and command.device == device:
            self._pending.drop(command_id)

    async def _hear_sent(self, signal: CommandSignal) -> None:
        if self._partitions.owns(signal.device):
            await self._look_for(signal.device)

    async def _hear_ended(self, signal: CommandSignal) -> None:
        if signal.command is not None:
            self._end(signal.device, signal.command)

    async def _hear_online(self, signal: CommandSignal) -> None:
        self._hasten(signal.device)

    def _hasten(self, device: str) -> None:
        self._pending.hasten(device)
        self._wake.set()

    def _take_over(self, owned: frozenset[int]) -> None:
        """Repeat what is kept for doorbells of this process's partitions, and nothing else."""
        for command in self._pending.kept():
            if not self._partitions.owns(command.device):
                self._pending.drop(command.id)
        self._unread = self._unread & owned | owned - self._owned
        self._owned = owned
        self._wake.set()

    async def _look(self) -> None:
        """Take up what is unanswered: all of partitions that were taken over, of others the newest.

        For the newest it is a safeguard, as whoever sends tells the owner.
        """
        now, now_ms = asyncio.get_running_loop().time(), self._clock.wall_ms()
        unread, is_time = self._unread, now >= self._look_at
        known = self._owned - unread if is_time else frozenset()
        left: list[Command] = []
        with self._looking() as ended:
            if unread or known:
                async with self._database.read() as tx:
                    for partitions, since_ms in (
                        (unread, 0),
                        (known, max(1, self._looked_ms - LOOK_BACK_MS)),
                    ):
                        if partitions:
                            left += await commands.unanswered(
                                tx, now_ms=now_ms, partitions=partitions, since_ms=since_ms
                            )
        self._unread -= unread
        if is_time:
            self._look_at, self._looked_ms = now + IDLE_S, now_ms
        for command in left:
            self._take_up(command, ended)

    async def _look_for(self, device: str) -> None:
        """Take up what was sent to one doorbell elsewhere, where it was published a moment ago."""
        before = [command.id for command in self._pending.kept_of(device)]
        with self._looking() as ended:
            async with self._database.read() as tx:
                left = await commands.unanswered(tx, now_ms=self._clock.wall_ms(), of=device)
        waiting = {command.id for command in left}
        for command_id in before:  # what was sent since the look began isn't in it
            if command_id not in waiting:  # replaced
                self._pending.drop(command_id)
        at = asyncio.get_running_loop().time() + FIRST_REPEAT_S
        for command in left:
            self._take_up(command, ended, at)
        self._wake.set()

    def _take_up(self, command: Command, ended: set[str], at: float = 0.0) -> None:
        if command.id in self._pending or command.id in ended:
            return
        if self._partitions.owns(command.device):
            self._pending.add(command, at=at)

    @contextlib.contextmanager
    def _looking(self) -> Iterator[set[str]]:
        """Yield what was answered since the block began, though the look shows it unanswered."""
        ended: set[str] = set()
        self._ended.append(ended)
        try:
            yield ended
        finally:
            self._ended.remove(ended)

    def _repeat(self, command: Command) -> None:
        topic = commands.topic_of(command)
        if topic is not None:
            for other in self._pending.kept_of(command.device):
                if commands.topic_of(other) == topic:
                    self._pending.drop(other.id)
        self._pending.add(command)

    def _may_be_kept(self, reply: Reply) -> bool:
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
        self._pending.add(command, data, is_kept=False)

    async def _publish_sent(self) -> None:
        """Publish once what was sent here to doorbells of others' partitions, and tell the owner.

        The owner first: it mustn't hear of the answer before it hears of the command.
        """
        sent, self._sent = self._sent, []
        for command, data in sent:
            await self._signals.tell("sent", command.device)
            await self._publish(command, data)

    async def _publish_due(self) -> float:
        """Publish the commands that are due; return the time until the next."""
        now_ms, loop = self._clock.wall_ms(), asyncio.get_running_loop()
        for number, pending in enumerate(self._pending.take_due(loop.time())):
            if now_ms >= pending.command.expires_ms:
                self._pending.drop(pending.command.id)
                continue
            await self._publish(pending.command, pending.data)
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        due = self._pending.next_at()
        next_at = self._look_at if due is None else min(due, self._look_at)
        return max(0.0, next_at - loop.time())

    async def _publish(self, command: Command, data: bytes) -> None:
        try:
            await self._bus.publish_command(command.device, data)
        except BusUnavailable as error:
            log.warning("command %s waits for the broker: %s", command.id, error)


def _parse(subject: str, data: bytes) -> Reply | None:
    try:
        return parse_device_message(Reply, subject, data)
    except WireError as error:
        log.warning("reply on %s refused: %s", subject, error)
        return None
