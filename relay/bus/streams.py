"""The relay's JetStream streams and their consumers: created, or updated to what is here.

    DW_EVENTS  dw.*.event   work queue on disk: a message leaves when it is acknowledged; of one
                            doorbell at most MAX_WAITING_EVENTS, so that its flood delays no other
    DW_STATUS  dw.*.status  the last state of each doorbell
    $MQTT_*                 what the broker's MQTT side keeps for itself; only the replicas of those
                            that are there are the relay's business

A stream that is there is never refused for its settings. Where JetStream has no leader, as while
brokers start or elect another, `Streams.ensure` waits as long as it takes.
"""

import asyncio
import json
import logging
from typing import Any

from nats.aio.client import Client
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
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from firmware.protocol.topics import ALL_EVENTS_SUBJECT, ALL_STATUS_SUBJECT
from relay.bus.complaints import Complaints
from relay.errors import said

log = logging.getLogger(__name__)

EVENTS_STREAM = "DW_EVENTS"
STATUS_STREAM = "DW_STATUS"
MQTT_STREAMS = ("$MQTT_sess", "$MQTT_msgs", "$MQTT_rmsgs", "$MQTT_out", "$MQTT_qos2in")
EVENTS_STREAM_MAX_BYTES = 1024**3
MAX_WAITING_EVENTS = 64
"""Of one doorbell; overflow: the newest is dropped. A doorbell has 20 without a receipt under way,
and tells each again until its receipt."""
DURABLE = "relay"
MAX_ACK_PENDING = 2000
ACK_WAIT_S = 20.0
API_TIMEOUT_S = 2.0
AGAIN_S = 0.5


class Streams:
    """The streams of one broker or cluster; `replicas` None leaves each stream those it has."""

    def __init__(self, client: Client, replicas: int | None) -> None:
        self._client = client
        self._replicas = replicas
        self._complaints = Complaints(log)
        self._turn = asyncio.Lock()

    async def ensure(self) -> None:
        """Have all streams and consumers as they are here, however long it takes."""
        async with self._turn:
            while True:
                try:
                    await self._ensure_all()
                except (NatsError, OSError, TimeoutError) as error:
                    self._complaints.say(
                        f"the broker's streams can't be had yet ({said(error)}): has JetStream a "
                        "leader, and enough brokers for its replicas? What doorbells tell waits"
                    )
                    await asyncio.sleep(AGAIN_S)
                else:
                    return

    async def _ensure_all(self) -> None:
        streams = self._client.jetstream(timeout=API_TIMEOUT_S)
        for config in _streams():
            await self._ensure_stream(streams, config)
        for name in (EVENTS_STREAM, STATUS_STREAM):
            await streams.add_consumer(name, _consumer())  # creates or updates it
        await self._replicate_mqtt()

    async def _ensure_stream(self, streams: JetStreamContext, config: StreamConfig) -> None:
        try:
            found = (await streams.stream_info(str(config.name))).config
        except NotFoundError:
            # Of two relays at once the slower one fails, and finds the stream when it tries again.
            await streams.add_stream(config, num_replicas=self._replicas or 1)
            return
        wanted = self._replicas or found.num_replicas
        if wanted != found.num_replicas:
            _say_change(str(config.name), found.num_replicas, wanted)
        elif _is_as(found, config):
            return  # each update is an entry for all brokers
        await streams.update_stream(config, num_replicas=wanted)

    async def _replicate_mqtt(self) -> None:
        """Give the MQTT side's own streams, as far as they are there, as many replicas.

        They are asked for one by one: a list of all waits for brokers that are away.
        """
        if self._replicas is None:
            return
        for name in MQTT_STREAMS:
            try:
                config = (await self._ask(f"INFO.{name}", {}))["config"]
            except NotFoundError:
                continue
            if config["num_replicas"] != self._replicas:
                _say_change(name, config["num_replicas"], self._replicas)
                await self._ask(f"UPDATE.{name}", config | {"num_replicas": self._replicas})

    async def _ask(self, name: str, question: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
        # Not by the client's own classes: they drop what a newer broker has in a stream's settings.
        data = json.dumps(question).encode()
        answer = await self._client.request(f"$JS.API.STREAM.{name}", data, timeout=API_TIMEOUT_S)
        answered: dict[str, Any] = json.loads(answer.data)
        if "error" in answered:
            APIError.from_error(answered["error"])
        return answered


def _say_change(name: str, had: int | None, wanted: int | None) -> None:
    log.warning("stream %s gets %s replicas; it had %s", name, wanted, had)


def _is_as(found: StreamConfig, wanted: StreamConfig) -> bool:
    """Return whether a stream has all settings that `wanted` has; others are the broker's."""
    own = wanted.as_dict()
    there = found.as_dict()
    return all(there.get(name) == value for name, value in own.items() if value)


def _streams() -> list[StreamConfig]:
    return [
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
    ]


def _consumer() -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=DURABLE,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        max_ack_pending=MAX_ACK_PENDING,
    )
