"""The adapter of the NATS client: the relay's connections to the broker.

Doorbells speak MQTT to the same broker. Their events and states lie in two JetStream streams,
from which any number of relays pull through one durable consumer each; commands and replies
are plain messages, because commands are repeated until they are answered.

    DW_EVENTS  dw.*.event   work queue on disk: a message leaves when it is acknowledged; of one
                            doorbell at most MAX_WAITING_EVENTS, so that its flood delays no other
    DW_STATUS  dw.*.status  the last state of each doorbell
"""

import asyncio
import json
import logging
import secrets
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError

from firmware.protocol.topics import (
    ALL_EVENTS_SUBJECT,
    ALL_REPLIES_SUBJECT,
    ALL_STATUS_SUBJECT,
    subject,
)
from relay.errors import BusUnavailable, said

log = logging.getLogger(__name__)

EVENTS_STREAM = "DW_EVENTS"
STATUS_STREAM = "DW_STATUS"
EVENTS_STREAM_MAX_BYTES = 1024**3
MAX_WAITING_EVENTS = 64
"""Of one doorbell; overflow: the newest is dropped. A doorbell has 20 without a receipt under way,
and tells each again until its receipt."""
DURABLE = "relay"
MAX_BATCH = 500
PULL_EXPIRES_S = 5.0
PULL_LOST_S = PULL_EXPIRES_S + 1.0
"""The broker says when a request has run out; one of which it says nothing by then is lost."""
ACK_WAIT_S = 20.0
TELL_S = 3.0
CALLOUT_SUBJECT = "$SYS.REQ.USER.AUTH"
REVOKED_SUBJECT = "relay.revoked"
SIGNAL_SUBJECT = "relay.signal"
"""What relays tell each other; a doorbell may neither say nor hear it (relay/fleet/callout.py)."""

NEWS_SUBJECT = "news"
"""What relays tell each other for open pages; a doorbell may neither say nor hear it."""

MessageHandler = Callable[[str, bytes], Awaitable[None]]


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


class NewsSubscription:
    """One topic of other relays' news, heard until it is unsubscribed."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    async def unsubscribe(self) -> None:
        """Hear no more."""
        try:
            await self._subscription.unsubscribe()
        except NatsError as error:
            raise BusUnavailable(f"can't unsubscribe: {error}") from error


class Puller:
    """Takes batches from one durable consumer; replicas share it."""

    def __init__(self, client: Client, stream: str) -> None:
        self._client = client
        self._stream = stream
        self._inbox = client.new_inbox()
        # Holds at most what was asked for: MAX_BATCH, and the rest of one request before it.
        # None: the request has lapsed.
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._wanted = 0
        self._asked_at = 0.0

    async def start(self) -> None:
        """Subscribe to the pull consumer's inbox."""
        await self._client.subscribe(self._inbox, cb=self._arrived.put)

    def lapse(self) -> None:
        """Forget the pull request under way: a broker that was away has forgotten it too."""
        self._wanted = 0
        self._arrived.put_nowait(None)

    async def next(self, limit: int = MAX_BATCH) -> list[StreamMessage]:
        """Wait for a first message, then take what is there; empty when a request ran out."""
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
                log.warning("pulling from %s was answered with status %s", self._stream, status)
            return
        self._wanted -= 1
        batch.append(
            StreamMessage(
                subject=message.subject,
                data=message.data,
                attempts=message.metadata.num_delivered,
                stored_ms=int(message.metadata.timestamp.timestamp() * 1000),
                _message=message,
            )
        )


class Bus:
    """The relay's connections to the broker: as itself, and as the system account."""

    def __init__(
        self,
        url: str,
        *,
        relay_seed: str,
        system_seed: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._relay_seed = relay_seed
        self._system_seed = system_seed
        self._tls = tls
        self._client = Client()
        self._system = Client()
        self._opened: list[Client] = []
        self._is_closing = False
        self._reconnected: list[Callable[[], Awaitable[None]]] = []
        self._pullers: dict[str, Puller] = {}
        self._own_id = secrets.token_bytes(8)

    @property
    def is_connected(self) -> bool:
        """Whether the broker answers right now."""
        return bool(self._client.is_connected and self._system.is_connected)

    async def publish_signals(self, topics: Iterable[str]) -> None:
        """Tell all relays that there may be work, from a process that isn't one; BusUnavailable."""
        client = Client()

        async def failed(error: Exception) -> None:  # the client would try on for two minutes
            raise BusUnavailable(f"the broker doesn't answer: {said(error)}") from error

        try:
            async with asyncio.timeout(TELL_S):
                await client.connect(
                    self._url,
                    name="command",
                    nkeys_seed_str=self._relay_seed,
                    tls=self._tls,
                    error_cb=failed,
                    allow_reconnect=False,
                )
                for topic in topics:
                    await client.publish(f"{SIGNAL_SUBJECT}.{topic}", self._own_id)
                await client.drain()
        except (NatsError, OSError, TimeoutError) as error:
            raise BusUnavailable(f"the broker doesn't answer: {said(error)}") from error

    async def connect(self) -> None:
        """Wait for the broker, for ever; the client re-establishes lost connections by itself."""
        await self._connect(self._client, self._relay_seed, "relay")
        await self._connect(self._system, self._system_seed, "relay-system")
        await self._ensure_streams()

    async def close(self) -> None:
        """Close both connections; what was published is flushed first."""
        self._is_closing = True
        for client in self._opened:
            await client.close()
        self._opened.clear()

    def on_reconnected(self, handler: Callable[[], Awaitable[None]]) -> None:
        """Call `handler` each time a lost connection is back."""
        self._reconnected.append(handler)

    async def events(self) -> Puller:
        """Return the puller of doorbells' events."""
        return await self._puller(EVENTS_STREAM)

    async def statuses(self) -> Puller:
        """Return the puller of doorbells' states."""
        return await self._puller(STATUS_STREAM)

    async def publish_command(self, device: str, data: bytes) -> None:
        """Hand one command to the broker; the doorbell gets it if it is there."""
        await self._publish(subject(device, "command"), data)

    async def on_replies(self, handler: MessageHandler) -> None:
        """Call `handler(subject, data)` with each reply of a doorbell."""
        await self._subscribe(ALL_REPLIES_SUBJECT, handler)

    async def announce_revocation(self, device: str) -> None:
        """Publish to every relay that a doorbell is revoked."""
        await self._publish(REVOKED_SUBJECT, device.encode())

    async def on_revocation(self, handler: Callable[[str], Awaitable[None]]) -> None:
        """Call `handler(device)` with each doorbell that any relay revokes."""

        async def decoded(_subject: str, data: bytes) -> None:
            await handler(data.decode())

        await self._subscribe(REVOKED_SUBJECT, decoded)

    async def publish_signal(self, topic: str) -> None:
        """Tell every other relay that there may be work."""
        await self._publish(f"{SIGNAL_SUBJECT}.{topic}", self._own_id)

    async def on_signal(self, handler: Callable[[str], None]) -> None:
        """Call `handler(topic)` with each signal of another relay."""

        async def heard(subject: str, data: bytes) -> None:
            if data != self._own_id:
                handler(subject.removeprefix(f"{SIGNAL_SUBJECT}."))

        await self._subscribe(f"{SIGNAL_SUBJECT}.*", heard)

    async def publish_news(self, topic: str, data: bytes) -> None:
        """Tell every relay that follows a topic; this one doesn't hear itself."""
        if not self._client.is_connected:
            raise BusUnavailable("the broker is away")  # the client would keep it, or lose it
        await self._publish(f"{NEWS_SUBJECT}.{topic}", self._own_id + data)

    async def subscribe_news(
        self, topic: str, handler: Callable[[bytes], Awaitable[None]]
    ) -> NewsSubscription:
        """Call `handler(data)` with what other relays tell under a topic."""
        own_id = self._own_id

        async def heard(message: Msg) -> None:
            if not message.data.startswith(own_id):
                await handler(message.data[len(own_id) :])

        try:
            return NewsSubscription(
                await self._client.subscribe(f"{NEWS_SUBJECT}.{topic}", cb=heard)
            )
        except NatsError as error:
            raise BusUnavailable(f"can't subscribe: {error}") from error

    async def flush(self) -> None:
        """Wait until the broker has taken all that was said here."""
        try:
            await self._client.flush()
        except NatsError as error:
            raise BusUnavailable(f"the broker doesn't answer: {said(error)}") from error

    async def serve_callout(self, respond: Callable[[bytes], bytes | None]) -> None:
        """Serve the broker's auth callout requests. Replicas share the questions."""

        async def answer(message: Msg) -> None:
            response = respond(message.data)
            if response is not None:
                await message.respond(response)

        await self._client.subscribe(CALLOUT_SUBJECT, queue="relay", cb=answer)
        await self._client.flush()

    async def kick(self, device: str) -> int:
        """Disconnect every connection of this MQTT client id; return how many there were."""
        question = json.dumps({"auth": True, "mqtt_client": device}).encode()
        kicked = 0
        try:
            for answer in await self._ask_servers("$SYS.REQ.SERVER.PING.CONNZ", question):
                server = answer["server"]["id"]
                for connection in answer.get("data", {}).get("connections", []):
                    order = json.dumps({"cid": connection["cid"]}).encode()
                    await self._system.request(f"$SYS.REQ.SERVER.{server}.KICK", order, timeout=2)
                    kicked += 1
        except (NatsError, TimeoutError) as error:
            raise BusUnavailable(f"can't disconnect {device}: {said(error)}") from error
        return kicked

    async def _ask_servers(self, name: str, question: bytes) -> list[dict]:  # type: ignore[type-arg]
        # Every server of a cluster answers for itself; a quiet 0.3 s means that all have.
        answers: asyncio.Queue[Msg] = asyncio.Queue()
        inbox = self._system.new_inbox()
        subscription = await self._system.subscribe(inbox, cb=answers.put)
        await self._system.publish(name, question, reply=inbox)
        found = [json.loads((await asyncio.wait_for(answers.get(), 2.0)).data)]
        try:
            while True:
                found.append(json.loads((await asyncio.wait_for(answers.get(), 0.3)).data))
        except TimeoutError:
            await subscription.unsubscribe()
        return found

    async def _puller(self, stream: str) -> Puller:
        if stream not in self._pullers:
            puller = Puller(self._client, stream)
            await puller.start()
            self._pullers[stream] = puller
        return self._pullers[stream]

    async def _publish(self, name: str, data: bytes) -> None:
        try:
            await self._client.publish(name, data)
        except NatsError as error:
            raise BusUnavailable(f"can't publish: {error}") from error

    async def _subscribe(self, name: str, handler: MessageHandler) -> None:
        async def handle(message: Msg) -> None:
            await handler(message.subject, message.data)

        await self._client.subscribe(name, cb=handle)
        await self._client.flush()

    async def _connect(self, client: Client, seed: str, name: str) -> None:
        async def failed(error: Exception) -> None:
            log.warning("broker connection %s: %s", name, said(error))

        async def disconnected() -> None:
            if not self._is_closing:
                log.warning("broker connection %s: lost", name)

        async def reconnected() -> None:
            log.info("broker connection %s: back", name)
            if client is self._client:
                for puller in self._pullers.values():
                    puller.lapse()
                for handler in self._reconnected:
                    await handler()

        await client.connect(
            self._url,
            name=name,
            nkeys_seed_str=seed,
            tls=self._tls,
            error_cb=failed,
            disconnected_cb=disconnected,
            reconnected_cb=reconnected,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.5,  # type: ignore[arg-type]  # a float works
            ping_interval=10,
        )
        self._opened.append(client)

    async def _ensure_streams(self) -> None:
        streams = self._client.jetstream()
        for config in (
            StreamConfig(
                name=EVENTS_STREAM,
                subjects=[ALL_EVENTS_SUBJECT],
                retention=RetentionPolicy.WORK_QUEUE,
                storage=StorageType.FILE,
                max_bytes=EVENTS_STREAM_MAX_BYTES,
                max_msgs_per_subject=MAX_WAITING_EVENTS,
                discard=DiscardPolicy.NEW,
                discard_new_per_subject=True,
            ),
            StreamConfig(
                name=STATUS_STREAM,
                subjects=[ALL_STATUS_SUBJECT],
                storage=StorageType.FILE,
                max_msgs_per_subject=1,
            ),
        ):
            try:
                await streams.add_stream(config)
            except BadRequestError:  # it is there with other limits
                await streams.update_stream(config)
        for stream in (EVENTS_STREAM, STATUS_STREAM):
            consumer = ConsumerConfig(
                durable_name=DURABLE,
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT_S,
                max_ack_pending=4 * MAX_BATCH,
            )
            await streams.add_consumer(stream, consumer)
