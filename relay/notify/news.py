"""Carries the hub's notices between the relays of one database, by the broker.

    hub ─► outbox ─► news.device.<id>, news.account.<id>, news.requests ─► hubs that follow it

A relay subscribes to what somebody follows there, and to nothing else. What an account may hear is
told until the broker has it: a right that ended must end at every relay. Of the rest, what can't be
told in time is lost, and seen at the next event: each names the one before it. A relay that lost
the broker, or didn't hear another relay for a while, has all its listeners read anew.
"""

import asyncio
import logging
from collections import deque

import msgspec

from firmware.protocol.encoding import MAX_MQTT_BYTES
from relay.bus import Bus, NewsSubscription
from relay.errors import BusUnavailable
from relay.notify.hub import AudienceChanged, CarriedNotice, Hub, Topic, topic_of

log = logging.getLogger(__name__)

MAX_NEWS_BYTES = MAX_MQTT_BYTES - 64
"""What the broker carries, less the sender's id."""
OUTBOX_LENGTH = 10_000
"""Overflow: the oldest notice is dropped, never one of an audience."""
AGAIN_S = 0.5
SETTLE_S = 2.0
"""A stream begins without other relays' news after that: it is told to read anew once they come."""


class News:
    """One relay's news to others, and theirs to it."""

    def __init__(self, bus: Bus, hub: Hub) -> None:
        self._bus = bus
        self._hub = hub
        self._outbox: deque[CarriedNotice] = deque(maxlen=OUTBOX_LENGTH)
        self._accounts: dict[str, None] = {}
        self._wanted: set[Topic] = set()
        self._subscribed: dict[Topic, NewsSubscription] = {}
        self._has_work = asyncio.Event()
        self._is_behind = False
        self._subscribing = asyncio.Lock()
        self._decoder = msgspec.json.Decoder(CarriedNotice)
        hub.carry_by(self)

    @property
    def topics(self) -> frozenset[Topic]:
        """What this relay hears of from others now."""
        return frozenset(self._subscribed)

    def publish(self, notice: CarriedNotice) -> None:
        """Tell other relays soon."""
        if isinstance(notice, AudienceChanged):
            self._accounts[notice.account_id] = None
        else:
            self._outbox.append(notice)
        self._has_work.set()

    def follow(self, topic: Topic) -> None:
        """Hear of a topic from now on."""
        self._wanted.add(topic)

    def unfollow(self, topic: Topic) -> None:
        """Hear no more of a topic."""
        self._wanted.discard(topic)
        self._has_work.set()

    async def settle(self) -> None:
        """Wait until all that is followed is heard."""
        if not self._bus.is_hearing:
            self._catch_up()
            return
        try:
            async with asyncio.timeout(SETTLE_S):
                await self._subscribe()
                await self._bus.flush()
        except (BusUnavailable, TimeoutError) as error:
            log.warning("a page opens without other relays' news: %s", error)
            self._catch_up()

    async def start(self) -> None:
        """Hear the other relays from here on; the bus is connected."""
        self._bus.on_reconnected(self._reconnected)
        await self._bus.on_revocation(self._revoked)
        self._catch_up()

    async def run(self) -> None:
        """Tell the other relays, until cancelled."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            try:
                await self._hear_again()
                await self._unsubscribe()
                await self._tell_accounts()
                await self._tell_others()
            except BusUnavailable as error:
                log.warning("other relays aren't told yet: %s", error)
                await asyncio.sleep(AGAIN_S)
                self._has_work.set()

    async def _tell_accounts(self) -> None:
        told, self._accounts = self._accounts, {}
        try:
            for account_id in told:
                await self._send(AudienceChanged(account_id=account_id))
            if told:
                await self._bus.flush()  # the broker has them
        except BusUnavailable:
            self._accounts |= told
            raise

    async def _tell_others(self) -> None:
        while self._outbox and not self._accounts:
            await self._send(self._outbox[0])
            self._outbox.popleft()

    async def _send(self, notice: CarriedNotice) -> None:
        data = msgspec.json.encode(notice)
        if len(data) > MAX_NEWS_BYTES:  # a page reads it before its doorbell's next event
            log.warning("news of %d bytes are more than the broker carries", len(data))
            return
        await self._bus.publish_news(topic_of(notice), data)

    async def _subscribe(self) -> None:
        async with self._subscribing:
            for topic in self._wanted - self._subscribed.keys():
                self._subscribed[topic] = await self._bus.subscribe_news(topic, self._heard)

    async def _unsubscribe(self) -> None:
        async with self._subscribing:
            for topic in self._subscribed.keys() - self._wanted:
                await self._subscribed.pop(topic).unsubscribe()

    async def _heard(self, data: bytes) -> None:
        try:
            notice = self._decoder.decode(data)
        except msgspec.DecodeError as error:  # a newer relay may have more
            log.warning("news of another relay can't be read: %s", error)
            return
        self._hub.hear(notice)

    async def _revoked(self, device: str) -> None:
        self._hub.doorbell_revoked(device)

    def may_have_missed(self) -> None:
        """Have all listeners read anew: another relay wasn't heard for a while."""
        self._catch_up()

    async def _reconnected(self) -> None:
        self._catch_up()

    def _catch_up(self) -> None:
        self._is_behind = True
        self._has_work.set()

    async def _hear_again(self) -> None:
        if self._is_behind:
            await self._subscribe()
            await self._bus.flush()
            self._is_behind = False
            self._hub.may_have_missed()
