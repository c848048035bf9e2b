"""The relay's connections to its brokers: as itself, and as the system account.

Doorbells speak MQTT to the same brokers. Their events and states lie in streams (streams.py);
commands and replies are plain messages, because commands are repeated until they are answered.
"""

import asyncio
import contextlib
import json
import logging
import secrets
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from typing import Any, NamedTuple

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from firmware.protocol.topics import ALL_REPLIES_SUBJECT, subject
from relay.bus.client import Client
from relay.bus.complaints import Complaints
from relay.bus.inspection import (
    BrokerState,
    StreamState,
    brokers_in,
    check_leader,
    inspect_stream,
)
from relay.bus.kicks import kick, kick_listed, page_question
from relay.bus.pullers import Puller
from relay.bus.streams import (
    AGAIN_S,
    API_TIMEOUT_S,
    EVENTS_STREAM,
    LEAVE_S,
    STATUS_STREAM,
    Streams,
)
from relay.errors import BusUnavailable, said

log = logging.getLogger(__name__)

PING_S = 2
"""In a cluster. Twice without an answer, and a broker counts as gone that is stopped or cut off."""
PING_ALONE_S = 10
"""Where there is no other broker to go to: at rest as little as possible happens."""
WATCH_S = 3.0
"""Between two looks whether the broker is parted from the others."""
LONGEST_LEAVE_S = 64.0
"""What LEAVE_S grows to while no broker has a leader."""
TELL_S = 3.0
CALLOUT_SUBJECT = "$SYS.REQ.USER.AUTH"
REVOKED_SUBJECT = "relay.revoked"
RELAYS_SUBJECT = "relay"
SIGNAL_SUBJECT = "relay.signal"
"""What relays tell each other; a doorbell may neither say nor hear it (relay/fleet/callout.py)."""

NEWS_SUBJECT = "news"
"""What relays tell each other for open pages; a doorbell may neither say nor hear it."""

MessageHandler = Callable[[str, bytes], Awaitable[None]]


class Kicked(NamedTuple):
    """The connections of a doorbell that were closed, and the brokers that were asked."""

    connections: int
    """How many were closed."""
    brokers: frozenset[str]
    """The names of those that answered."""


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


class Bus:
    """The relay's connections to the broker: as itself, and as the system account."""

    def __init__(
        self,
        urls: str | Sequence[str],
        *,
        relay_seed: str,
        system_seed: str,
        tls: ssl.SSLContext | None = None,
        replicas: int | None = None,
    ) -> None:
        self._urls = [urls] if isinstance(urls, str) else list(urls)
        self._relay_seed = relay_seed
        self._system_seed = system_seed
        self._tls = tls
        self._client = Client()
        self._system = Client()
        self._opened: list[Client] = []
        self._is_closing = False
        self._complaints = Complaints(log)
        has_others = len(self._urls) > 1
        self._streams = Streams(self._client, replicas, has_other_brokers=has_others)
        self._has_streams = False
        self._reconnected: list[Callable[[], Awaitable[None]]] = []
        self._pullers: dict[str, Puller] = {}
        self._shared: list[Subscription] = []
        self._own_id = secrets.token_bytes(8)

    @property
    def broker_count(self) -> int:
        """How many brokers relay.toml names."""
        return len(set(self._urls))

    @property
    def is_connected(self) -> bool:
        """Whether a broker answers right now, and its streams were there."""
        is_connected = self._client.is_connected and self._system.is_connected
        return bool(is_connected and self._has_streams)

    @property
    def is_hearing(self) -> bool:
        """Whether what other relays say arrives right now: the system's connection is no part."""
        return bool(self._client.is_connected)

    async def publish_signals(self, topics: Iterable[str]) -> None:
        """Tell all relays that there may be work, from a process that isn't one; BusUnavailable."""
        client = Client()

        async def failed(error: Exception) -> None:  # the client would try on for two minutes
            raise BusUnavailable(f"the broker doesn't answer: {said(error)}") from error

        try:
            async with asyncio.timeout(TELL_S):
                await client.connect(
                    self._urls,
                    name="command",
                    nkeys_seed_str=self._relay_seed,
                    **self._tls_options(),
                    error_cb=failed,
                    allow_reconnect=False,
                )
                for topic in topics:
                    await client.publish(f"{SIGNAL_SUBJECT}.{topic}", self._own_id)
                await client.drain()
        except (NatsError, OSError, TimeoutError) as error:
            raise BusUnavailable(f"the broker doesn't answer: {said(error)}") from error

    async def connect(self) -> None:
        """Wait for a broker and for its streams, however long it takes.

        The client re-establishes lost connections by itself, to any broker of the cluster.
        """
        await self.reach()
        await self._streams.ensure()
        self._has_streams = True

    async def reach(self) -> None:
        """Wait for a broker, whether its streams are there or not."""
        await self._connect(self._client, self._relay_seed, "relay")
        await self._connect(self._system, self._system_seed, "relay-system")

    async def leave_parted_brokers(self) -> None:
        """Leave each broker that is parted from the others, for another, until cancelled.

        Such a broker answers pings, and its streams have no leader. For a process that pulls
        events `Streams.ensure` leaves it; here every process does.
        """
        patience_s = LEAVE_S
        while True:
            await asyncio.sleep(WATCH_S)
            broker = self._client.connected_url
            if broker is None:
                continue
            if await self._has_leader() or await self._gets_leader(patience_s):
                patience_s = LEAVE_S
            elif self._client.connected_url == broker:
                log.warning("the broker is left for another: its streams have no leader")
                patience_s = min(2 * patience_s, LONGEST_LEAVE_S)
                for client in (self._client, self._system):
                    if client.connected_url == broker:
                        await client.force_reconnect()

    async def _has_leader(self) -> bool:
        try:
            await check_leader(self._client, STATUS_STREAM, timeout_s=API_TIMEOUT_S)
        except BusUnavailable:
            return False
        return True

    async def _gets_leader(self, within_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not await self._has_leader():  # noqa: ASYNC110 (no event for it)
                    await asyncio.sleep(AGAIN_S)
                return True
        return False

    async def close(self) -> None:
        """Close both connections; what was published is flushed first."""
        self._is_closing = True
        for client in self._opened:
            with contextlib.suppress(OSError):  # it was being made again
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
        """Call `handler(subject, data)` with each reply of a doorbell that no replica has taken."""
        await self._subscribe(ALL_REPLIES_SUBJECT, handler, queue="relay")

    async def announce_revocation(self, device: str) -> None:
        """Publish to every relay that a doorbell is revoked; the broker has it then."""
        await self._publish(REVOKED_SUBJECT, device.encode())
        await self.flush()

    async def on_revocation(self, handler: Callable[[str], Awaitable[None]]) -> None:
        """Call `handler(device)` with each doorbell that any relay revokes."""

        async def decoded(_subject: str, data: bytes) -> None:
            await handler(data.decode())

        await self._subscribe(REVOKED_SUBJECT, decoded)

    async def publish_to_relays(self, name: str, data: bytes) -> None:
        """Tell every relay process something, this one too."""
        await self._publish(f"{RELAYS_SUBJECT}.{name}", data)

    async def on_relays(self, name: str, handler: MessageHandler) -> None:
        """Call `handler(subject, data)` with what a relay process tells all, or this one."""
        await self._subscribe(f"{RELAYS_SUBJECT}.{name}", handler)

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

        self._shared.append(await self._client.subscribe(CALLOUT_SUBJECT, queue="relay", cb=answer))
        await self._client.flush()

    async def list_brokers(self) -> list[BrokerState]:
        """Return the brokers of the cluster that answer, or raise BusUnavailable."""
        try:
            return brokers_in(await self._ask_servers("$SYS.REQ.SERVER.PING", b""))
        except (NatsError, TimeoutError, LookupError) as error:
            raise BusUnavailable(f"the brokers don't say who they are: {said(error)}") from error

    async def list_streams(self) -> list[StreamState]:
        """Return how the streams of events and states are, or raise BusUnavailable."""
        return [await inspect_stream(self._client, one) for one in (EVENTS_STREAM, STATUS_STREAM)]

    async def check_statuses(self) -> None:
        """Raise BusUnavailable unless the stream of states has a leader: else no state comes."""
        await check_leader(self._client, STATUS_STREAM)

    async def has_doorbell(self, device: str) -> bool:
        """Return whether a broker that answers has a connection of this MQTT client id."""
        try:
            answers = await self._ask_for_connections(device)
        except (NatsError, TimeoutError) as error:
            raise BusUnavailable(f"who is connected isn't known: {said(error)}") from error
        return any(answer.get("data", {}).get("connections") for answer in answers)

    async def leave_shared(self) -> None:
        """Leave to the replicas what they share: replies and callouts.

        Callouts here are finished. A reply that isn't stored yet comes again, to a replica.
        """
        shared, self._shared = self._shared, []
        for subscription in shared:
            with contextlib.suppress(NatsError, TimeoutError):
                await subscription.drain()  # type: ignore[no-untyped-call]

    async def kick(self, device: str) -> Kicked:
        """Disconnect every connection of this MQTT client id at the brokers that answer."""
        kicked = 0
        try:
            answers = await self._ask_for_connections(device)
            for answer in answers:
                server = answer["server"]["id"]
                for connection in answer.get("data", {}).get("connections", []):
                    await kick(self._system, server, connection["cid"])
                    kicked += 1
        except (NatsError, TimeoutError) as error:
            raise BusUnavailable(f"can't disconnect {device}: {said(error)}") from error
        return Kicked(kicked, frozenset(answer["server"]["name"] for answer in answers))

    async def kick_all(self, devices: Set[str]) -> Kicked:
        """Do so for many client ids at once; the brokers are those that answered to the end.

        Each broker is asked for all its connections, however many client ids there are.
        """
        try:
            answers = await self._ask_servers("$SYS.REQ.SERVER.PING.CONNZ", page_question(0))
        except (NatsError, TimeoutError) as error:
            raise BusUnavailable(f"who is connected isn't known: {said(error)}") from error
        listed = [answer for answer in answers if "data" in answer]
        counts = await asyncio.gather(
            *(
                kick_listed(self._system, answer["server"]["id"], answer["data"], devices)
                for answer in listed
            )
        )
        done = {
            answer["server"]["name"]: count
            for answer, count in zip(listed, counts, strict=True)
            if count is not None
        }
        if not done:
            raise BusUnavailable("no broker says to the end who is connected")
        return Kicked(sum(done.values()), frozenset(done))

    async def ask_elsewhere(self) -> None:
        """Ask all brokers by another one, if this one may be cut off from the relay's own.

        It is left for another by the relay's connection alone (`Streams.ensure`): a broker without
        the others answers pings, and speaks for itself.
        """
        if self._system.connected_url != self._client.connected_url:
            await self._system.force_reconnect()

    async def _ask_for_connections(self, device: str) -> list[dict]:  # type: ignore[type-arg]
        question = json.dumps({"auth": True, "mqtt_client": device}).encode()
        return await self._ask_servers("$SYS.REQ.SERVER.PING.CONNZ", question)

    async def _ask_servers(self, name: str, question: bytes) -> list[dict]:  # type: ignore[type-arg]
        # Every server of a cluster answers for itself; a quiet 0.3 s means that all have.
        answers: asyncio.Queue[Msg] = asyncio.Queue()
        inbox = self._system.new_inbox()
        subscription = await self._system.subscribe(inbox, cb=answers.put)
        try:
            await self._system.publish(name, question, reply=inbox)
            async with asyncio.timeout(2.0):
                found = [json.loads((await answers.get()).data)]
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(0.3):
                        found.append(json.loads((await answers.get()).data))
        finally:
            await subscription.unsubscribe()
        return found

    async def _puller(self, stream: str) -> Puller:
        if stream not in self._pullers:
            puller = Puller(self._client, stream, self._streams)
            await puller.start()
            self._pullers[stream] = puller
        return self._pullers[stream]

    async def _publish(self, name: str, data: bytes) -> None:
        try:
            await self._client.publish(name, data)
        except NatsError as error:
            raise BusUnavailable(f"can't publish: {error}") from error

    async def _subscribe(self, name: str, handler: MessageHandler, queue: str = "") -> None:
        async def handle(message: Msg) -> None:
            await handler(message.subject, message.data)

        subscription = await self._client.subscribe(name, queue=queue, cb=handle)
        if queue:
            self._shared.append(subscription)
        await self._client.flush()

    def _tls_options(self) -> dict[str, Any]:  # Any: the client's keywords
        # The client is the first to speak TLS: asked for afterwards, whoever is in between could
        # say that the broker wants none.
        has_tls = any(url.startswith("tls:") for url in self._urls)
        return {"tls": self._tls, "tls_handshake_first": has_tls}

    async def _connect(self, client: Client, seed: str, name: str) -> None:
        async def failed(error: Exception) -> None:
            self._complaints.say(f"broker connection {name}: {said(error)}")

        async def disconnected() -> None:
            if not self._is_closing:
                log.warning("broker connection %s: lost", name)

        async def reconnected() -> None:
            log.info("broker connection %s: back", name)
            if client is self._client:
                for puller in self._pullers.values():
                    puller.lapse()
                await asyncio.gather(*map(_heed, self._reconnected))

        await client.connect(
            self._urls,
            name=name,
            nkeys_seed_str=seed,
            **self._tls_options(),
            error_cb=failed,
            disconnected_cb=disconnected,
            reconnected_cb=reconnected,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.5,  # type: ignore[arg-type]  # a float works
            ping_interval=PING_S if len(self._urls) > 1 else PING_ALONE_S,
            max_outstanding_pings=2,
        )
        self._opened.append(client)


async def _heed(handler: Callable[[], Awaitable[None]]) -> None:
    """Tell one part that the connection is back; it may fail without the others' missing it."""
    try:
        await handler()
    except Exception:  # else the client takes it for a connection that failed
        log.exception("broker connection: a part didn't take note that it is back")
