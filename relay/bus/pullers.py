"""Pull consumers: batches of messages from one stream, to be settled one by one."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from firmware.protocol.topics import subject
from relay.bus.complaints import Complaints
from relay.bus.streams import (
    EVENTS_STREAM,
    PARTITIONS,
    STATUS_STREAM,
    Streams,
    durable_of,
)
from relay.errors import BusUnavailable, said

log = logging.getLogger(__name__)

MAX_BATCH = 500
PULL_EXPIRES_S = 3.0
PULL_LOST_S = PULL_EXPIRES_S + 1.0
"""The broker says when a request has run out; one of which it says nothing by then is lost."""
REFUSED_S = 0.5
MAX_REFUSALS = 6
"""In a row; then it is looked whether the consumer is there at all."""
DELETED = "Consumer Deleted"
STRAY_RETRY_S = 0.5
"""What came of a partition that was handed over comes again after that, or at once to its new
owner: without a delay this process's last request would get it again and again."""
GATHER_SHARE, MAX_GATHER_S = 0.1, 0.02
"""Under load: of the time that the last batch took, and of any time. What comes within it is in the
same batch; else each large batch would be followed by one of the first few that its receipts freed.
"""
LEAST_SHARE = 32
"""Of one batch, for each partition."""
KINDS = {EVENTS_STREAM: "event", STATUS_STREAM: "status"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMessage:
    """One message from a stream, to be acknowledged once it is dealt with."""

    subject: str
    data: bytes
    _message: Msg = field(repr=False)

    @property
    def attempts(self) -> int:
        """How often the broker has handed it out."""
        return self._message.metadata.num_delivered

    @property
    def stored_ms(self) -> int:
        """When the broker stored it, by the broker's clock."""
        return int(self._message.metadata.timestamp.timestamp() * 1000)

    async def ack(self) -> None:
        """Acknowledge the message as processed."""
        await self._settle(self._message.ack())

    async def retry(self, delay_s: float) -> None:
        """Ask the broker to deliver it again after a while."""
        await self._settle(self._message.nak(delay=delay_s))

    async def discard(self) -> None:
        """Terminate the message: it can never be processed."""
        await self._settle(self._message.term())

    async def _settle(self, settling: Awaitable[None]) -> None:
        try:
            await settling
        except NatsError as error:  # unsettled messages come again
            raise BusUnavailable(f"can't acknowledge: {error}") from error


@dataclass(slots=True)
class _Lane:
    """One partition's consumer: how much of the request under way hasn't come yet, and since when.

    `is_new`: its consumer is made anew before the first request.
    """

    is_new: bool = True
    is_open: bool = False
    opening: asyncio.Task[None] | None = None
    wanted: int = 0
    asked_at: float = 0.0
    refusals: int = 0
    number: int = 0
    rests_until: float = 0.0

    def stop_opening(self) -> None:
        """Leave the consumer as it is, if it was being made or looked for."""
        if self.opening is not None:
            self.opening.cancel()


class Puller:
    """Takes batches from the consumers of those partitions that this process works on: at first
    all of them."""

    def __init__(self, client: Client, stream: str, streams: Streams) -> None:
        self._client = client
        self._stream = stream
        self._streams = streams
        self._kind = KINDS[stream]
        self._complaints = Complaints(log)
        self._inbox = client.new_inbox()
        # Holds at most what was asked for. None: something has changed.
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._lanes = {partition: _Lane() for partition in range(PARTITIONS)}
        self._strays: list[Msg] = []
        self._has_lost_consumer = False
        self._returned_at = 0.0

    async def start(self) -> None:
        """Subscribe to the pull consumers' inbox, and to the news of their leaders."""
        await self._client.subscribe(f"{self._inbox}.>", cb=self._arrived.put)
        elected = f"$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED.{self._stream}.*"
        await self._client.subscribe(elected, cb=self._on_leader)

    async def _on_leader(self, message: Msg) -> None:
        name = message.subject.rpartition(".")[2]
        for partition, lane in self._lanes.items():
            if name == durable_of(partition):
                lane.wanted = 0  # what was asked of the leader before is lost with it
        self._arrived.put_nowait(None)

    def work_on(self, partitions: frozenset[int]) -> None:
        """Take from the consumers of these partitions alone, from now on.

        One that is being opened is left alone: its new owner may have made it anew by then.
        """
        for partition, lane in self._lanes.items():
            if partition not in partitions:
                lane.stop_opening()
        self._lanes = {one: self._lanes.get(one) or _Lane() for one in sorted(partitions)}
        self._arrived.put_nowait(None)

    def lapse(self) -> None:
        """Forget the pull requests under way: a broker that was away has forgotten them too."""
        for lane in self._lanes.values():
            lane.wanted = 0
        self._arrived.put_nowait(None)

    async def next(self, limit: int = MAX_BATCH) -> list[StreamMessage]:
        """Wait for a first message, then take what is there; empty when a request ran out.

        While the stream has no leader, because its broker died, it waits for another.
        """
        if self._has_lost_consumer or self._is_unanswered():
            await self._wait_for_leader()
        self._open_lanes()
        await self._ask_for(limit)
        batch: list[StreamMessage] = []
        try:
            await self._gather(batch, limit)
            await self._give_strays_back()
        except asyncio.CancelledError:
            for lane in self._lanes.values():
                lane.stop_opening()
            self._put_back(batch)
            raise
        self._returned_at = asyncio.get_running_loop().time()
        return batch

    async def _gather(self, batch: list[StreamMessage], limit: int) -> None:
        called_at = asyncio.get_running_loop().time()
        took_s = called_at - self._returned_at
        try:
            async with asyncio.timeout_at(self._due_at()):
                first = await self._arrived.get()
            self._take(first, batch)
            if batch and asyncio.get_running_loop().time() < called_at + took_s:
                await asyncio.sleep(min(GATHER_SHARE * took_s, MAX_GATHER_S))
            while len(batch) < limit:
                self._take(self._arrived.get_nowait(), batch)
        except (TimeoutError, asyncio.QueueEmpty):
            pass

    async def _give_strays_back(self) -> None:
        strays, self._strays = self._strays, []
        for message in strays:  # of partitions that were handed over
            with contextlib.suppress(NatsError):
                await message.nak(delay=STRAY_RETRY_S)

    def _put_back(self, batch: Sequence[StreamMessage]) -> None:
        """Have the next batch begin with what nobody has got of this one."""
        later: list[Msg | None] = []
        while not self._arrived.empty():
            later.append(self._arrived.get_nowait())
        for one in batch:
            self._arrived.put_nowait(one._message)
            lane = self._lanes.get(int(one._message.subject.split(".")[-2]))
            if lane is not None:
                lane.wanted += 1
        for message in later:
            self._arrived.put_nowait(message)

    def _due_at(self) -> float:
        """Return when the next lane is to be asked, whatever comes until then."""
        now = asyncio.get_running_loop().time()
        return min(
            (
                lane.asked_at + PULL_LOST_S if lane.is_open and lane.wanted else lane.rests_until
                for lane in self._lanes.values()
                if lane.opening is None
            ),
            default=now + PULL_LOST_S,
        )

    def _is_unanswered(self) -> bool:
        """Return whether the broker doesn't even say that there is nothing, of any partition."""
        lost_s = asyncio.get_running_loop().time() - PULL_LOST_S
        asked = [lane for lane in self._lanes.values() if lane.is_open and lane.wanted > 0]
        is_lost = bool(asked) and all(lane.asked_at <= lost_s for lane in asked)
        return is_lost and self._arrived.empty()

    async def _wait_for_leader(self) -> None:
        self._has_lost_consumer = False
        await self._streams.ensure()

    def _open_lanes(self) -> None:
        """Begin to open what is closed; each by itself, since some consumers may have no leader."""
        now = asyncio.get_running_loop().time()
        for partition, lane in self._lanes.items():
            if not lane.is_open and lane.opening is None and lane.rests_until <= now:
                opening = self._open(partition, lane)
                lane.opening = asyncio.create_task(opening, name="consumer")

    async def _open(self, partition: int, lane: _Lane) -> None:
        try:
            await self._streams.take_over(self._stream, partition, is_anew=lane.is_new)
            lane.is_open, lane.is_new = True, False
        except (NatsError, OSError, TimeoutError) as error:
            self._complain(said(error))
            lane.rests_until = asyncio.get_running_loop().time() + REFUSED_S
        finally:
            lane.opening = None
            self._arrived.put_nowait(None)

    async def _ask_for(self, limit: int) -> None:
        now = asyncio.get_running_loop().time()
        share = max(LEAST_SHARE, limit // max(1, len(self._lanes)))
        request = {"batch": share, "expires": int(PULL_EXPIRES_S * 1_000_000_000)}
        data = json.dumps(request).encode()
        for partition, lane in self._lanes.items():
            is_under_way = lane.wanted > 0 and now < lane.asked_at + PULL_LOST_S
            if not lane.is_open or is_under_way or now < lane.rests_until:
                continue
            api = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{durable_of(partition)}"
            lane.number += 1
            reply = f"{self._inbox}.{partition}.{lane.number}"
            try:
                await self._client.publish(api, data, reply=reply)
            except NatsError as error:
                raise BusUnavailable(f"can't pull from {self._stream}: {error}") from error
            lane.wanted, lane.asked_at = share, now

    def _take(self, message: Msg | None, batch: list[StreamMessage]) -> None:
        if message is None:
            return
        status = (message.headers or {}).get("Status")
        *_, place, device = message.subject.split(".")
        lane = self._lanes.get(int(place))
        if status is not None:
            if lane is not None and int(device) == lane.number:  # not of one that has lapsed
                described = (message.headers or {}).get("Description", "")
                self._take_status(lane, status, described)
            return
        if lane is None:
            self._strays.append(message)
            return
        lane.wanted, lane.refusals = lane.wanted - 1, 0
        batch.append(
            StreamMessage(
                subject=subject(device, self._kind),
                data=message.data,
                _message=message,
            )
        )

    def _take_status(self, lane: _Lane, status: str, described: str) -> None:
        lane.wanted = 0
        if status in {"404", "408"}:  # nothing there, or the request ran out
            lane.refusals = 0
            return
        lane.refusals += 1
        lane.rests_until = asyncio.get_running_loop().time() + REFUSED_S
        self._complain(f"{status} {described}".strip())
        # Mostly it has no leader for a moment: asking whether it is there would wait for one.
        if described == DELETED or lane.refusals >= MAX_REFUSALS:
            lane.is_open = False
            self._has_lost_consumer, lane.refusals = True, 0

    def _complain(self, why: str) -> None:
        self._complaints.say(f"the broker lets nothing be pulled from {self._stream}: {why}")
