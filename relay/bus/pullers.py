"""Pull consumers: batches of messages from one stream, to be settled one by one."""

import asyncio
import json
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from relay.bus.complaints import Complaints
from relay.bus.streams import DURABLE, Streams
from relay.errors import BusUnavailable

log = logging.getLogger(__name__)

MAX_BATCH = 500
PULL_EXPIRES_S = 5.0
PULL_LOST_S = PULL_EXPIRES_S + 1.0
"""The broker says when a request has run out; one of which it says nothing by then is lost."""
REFUSED_S = 0.5
REFUSALS_UNTIL_ENSURED = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMessage:
    """One message from a stream, to be acknowledged once it is dealt with."""

    subject: str
    data: bytes
    attempts: int
    stored_ms: int
    """When the broker stored it, by the broker's clock."""
    _message: Msg = field(repr=False)

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


class Puller:
    """Takes batches from one durable consumer; replicas share it."""

    def __init__(self, client: Client, stream: str, streams: Streams) -> None:
        self._client = client
        self._stream = stream
        self._streams = streams
        self._complaints = Complaints(log)
        self._inbox = client.new_inbox()
        # Holds at most what was asked for: MAX_BATCH, and the rest of one request before it.
        # None: the request has lapsed.
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._wanted = 0
        self._asked_at = 0.0
        self._refusal, self._refusals = "", 0

    async def start(self) -> None:
        """Subscribe to the pull consumer's inbox, and to the news of its leader."""
        await self._client.subscribe(self._inbox, cb=self._arrived.put)
        elected = f"$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED.{self._stream}.{DURABLE}"
        await self._client.subscribe(elected, cb=self._on_leader)

    async def _on_leader(self, _message: Msg) -> None:
        self.lapse()  # what was asked of the one before is lost with it

    def lapse(self) -> None:
        """Forget the pull request under way: a broker that was away has forgotten it too."""
        self._wanted = 0
        self._arrived.put_nowait(None)

    async def next(self, limit: int = MAX_BATCH) -> list[StreamMessage]:
        """Wait for a first message, then take what is there; empty when a request ran out.

        While the stream has no leader, because its broker died, it waits for another.
        """
        if self._refusal:
            await self._wait_for_leader()
        await self._ask_for(limit)
        batch: list[StreamMessage] = []
        try:
            async with asyncio.timeout_at(self._asked_at + PULL_LOST_S):
                first = await self._arrived.get()
            self._take(first, batch)
            while len(batch) < limit:
                self._take(self._arrived.get_nowait(), batch)
        except (TimeoutError, asyncio.QueueEmpty):
            pass
        return batch

    async def _wait_for_leader(self) -> None:
        refusal, self._refusal = self._refusal, ""
        self._complaints.say(f"the broker lets nothing be pulled from {self._stream}: {refusal}")
        await asyncio.sleep(REFUSED_S)
        self._refusals += 1
        if self._refusals % REFUSALS_UNTIL_ENSURED == 0:  # no election takes so long: is it there?
            await self._streams.ensure()

    async def _ask_for(self, limit: int) -> None:
        now = asyncio.get_running_loop().time()
        if self._wanted > 0 and now < self._asked_at + PULL_LOST_S:
            return
        request = {"batch": limit, "expires": int(PULL_EXPIRES_S * 1_000_000_000)}
        api = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{DURABLE}"
        try:
            await self._client.publish(api, json.dumps(request).encode(), reply=self._inbox)
        except NatsError as error:
            raise BusUnavailable(f"can't pull from {self._stream}: {error}") from error
        self._wanted, self._asked_at = limit, now

    def _take(self, message: Msg | None, batch: list[StreamMessage]) -> None:
        if message is None:
            return
        status = (message.headers or {}).get("Status")
        if status is not None:
            self._wanted = 0
            if status not in {"404", "408"}:  # nothing there, or the request ran out
                why = (message.headers or {}).get("Description", "").partition("\n")[0]
                self._refusal = f"{status} {why}".strip()
            return
        self._wanted, self._refusals = self._wanted - 1, 0
        batch.append(
            StreamMessage(
                subject=message.subject,
                data=message.data,
                attempts=message.metadata.num_delivered,
                stored_ms=int(message.metadata.timestamp.timestamp() * 1000),
                _message=message,
            )
        )
