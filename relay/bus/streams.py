"""The relay's JetStream streams and their consumers: created, or updated to what is here.

    DW_EVENTS  dw.*.event   work queue on disk: a message leaves when it is acknowledged; of one
                            doorbell at most MAX_WAITING_EVENTS, so that its flood delays no other
    DW_STATUS  dw.*.status  the last state of each doorbell
    $MQTT_*                 what the broker's MQTT side keeps for itself; only the replicas of those
                            that are there are the relay's business

In both, the broker puts a doorbell's partition into the subject (`dw.event.7.abc…`), and each
partition has a consumer. Whoever takes a partition over makes its consumer anew: what the last
owner had and didn't acknowledge comes again at once, and nothing is handed to that one any more.

A stream that is there is never refused for its settings. Where JetStream has no leader, as while
brokers start or elect another, `Streams.ensure` waits as long as it takes, at one broker after the
other: one that is cut off from the others answers, and has nothing.
"""

import asyncio
import contextlib
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
    SubjectTransform,
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
_PREFIXES = {EVENTS_STREAM: "dw.event", STATUS_STREAM: "dw.status"}
EVENTS_STREAM_MAX_BYTES = 1024**3
MAX_WAITING_EVENTS = 64
"""Of one doorbell; overflow: the newest is dropped. A doorbell has 20 without a receipt under way,
and tells each again until its receipt."""
PARTITIONS = 16
"""Never changes: a doorbell's messages lie in one of so many."""
BEFORE_PARTITIONS = "relay"
"""The one consumer that each stream had before."""
MAX_ACK_PENDING = 10_000
"""Of a partition: more than what a hundred doorbells that flood have waiting for their turn."""
ACK_WAIT_S = 20.0
API_TIMEOUT_S = 2.0
AGAIN_S = 0.5
LEAVE_S = 4.0
"""A broker at which the streams can't be had for so long is left, where there are others."""
_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193


class Streams:
    """The streams of one broker or cluster; `replicas` None leaves each stream those it has."""

    def __init__(
        self, client: Client, replicas: int | None, *, has_other_brokers: bool = False
    ) -> None:
        self._client = client
        self._replicas = replicas
        self._has_others = has_other_brokers
        self._complaints = Complaints(log)
        self._turn = asyncio.Lock()

    async def ensure(self) -> None:
        """Have all streams and consumers as they are here, however long it takes."""
        async with self._turn:
            began_s, broker = asyncio.get_running_loop().time(), self._client.connected_url
            while True:
                try:
                    await self._ensure_all()
                except (NatsError, OSError, TimeoutError) as error:
                    self._complaints.say(
                        f"the broker's streams can't be had yet ({said(error)}): has JetStream a "
                        "leader, and enough brokers for its replicas? What doorbells tell waits"
                    )
                    await asyncio.sleep(AGAIN_S)
                    now_s = asyncio.get_running_loop().time()
                    if self._client.connected_url != broker:  # another has its time, too
                        began_s, broker = now_s, self._client.connected_url
                    if self._has_others and now_s - began_s >= LEAVE_S:  # it is cut off from them?
                        began_s = now_s
                        await self._client.force_reconnect()
                else:
                    return

    async def _ensure_all(self) -> None:
        streams = self._client.jetstream(timeout=API_TIMEOUT_S)
        for config in _streams():
            await self._ensure_stream(streams, config)
        for name, subject in (
            (EVENTS_STREAM, ALL_EVENTS_SUBJECT),
            (STATUS_STREAM, ALL_STATUS_SUBJECT),
        ):
            await self._move_into_partitions(streams, name, subject)
        await self._replicate_mqtt()

    async def take_over(self, stream: str, partition: int, *, is_anew: bool) -> None:
        """Have a partition's consumer, made anew or as it is there. NatsError, TimeoutError."""
        streams = self._client.jetstream(timeout=API_TIMEOUT_S)
        after = 0
        with contextlib.suppress(NotFoundError):
            found = await streams.consumer_info(stream, durable_of(partition))
            if not is_anew or not (found.num_ack_pending or found.num_waiting):
                return  # nobody has anything of it, or asks for it
            after = 0 if found.ack_floor is None else found.ack_floor.stream_seq
            await streams.delete_consumer(stream, durable_of(partition))
        await streams.add_consumer(stream, _consumer(stream, partition, after))

    async def _move_into_partitions(
        self, streams: JetStreamContext, name: str, subject: str
    ) -> None:
        """Store what waits since before there were partitions again, so that it is in one.

        Broken off half-way it stores some of it twice, which ingest finds out.
        """
        info = await streams.stream_info(name, subjects_filter=subject)
        if not info.state.subjects:
            return
        seq = 0
        with contextlib.suppress(NotFoundError):
            floor = (await streams.consumer_info(name, BEFORE_PARTITIONS)).ack_floor
            seq = 0 if floor is None else floor.stream_seq
        while True:
            try:
                message = await streams.get_msg(name, seq + 1, subject=subject, next=True)
            except NotFoundError:
                break
            seq = message.seq or seq + 1
            try:
                await streams.publish(str(message.subject), message.data or b"")
            except APIError as error:  # as much waits already; the doorbell tells it again
                log.warning("a waiting message of %s isn't moved: %s", message.subject, said(error))
        with contextlib.suppress(NotFoundError):
            await streams.delete_consumer(name, BEFORE_PARTITIONS)
        await streams.purge_stream(name, subject=subject)
        log.warning("stream %s: what waited is in partitions now", name)

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
            subject_transform=_into_partitions(ALL_EVENTS_SUBJECT, EVENTS_STREAM),
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
            subject_transform=_into_partitions(ALL_STATUS_SUBJECT, STATUS_STREAM),
            storage=StorageType.FILE,
            max_msgs_per_subject=1,
        ),
    ]


def _into_partitions(subject: str, stream: str) -> SubjectTransform:
    return SubjectTransform(
        src=subject,
        dest=f"{_PREFIXES[stream]}.{{{{partition({PARTITIONS},1)}}}}.{{{{wildcard(1)}}}}",
    )


def partition_of(device: str) -> int:
    """Return a doorbell's partition, as the broker computes it (`partition(16,1)`)."""
    value = _FNV_OFFSET
    for byte in device.encode():
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return value % PARTITIONS


def durable_of(partition: int) -> str:
    """Return the name of a partition's consumer."""
    return f"p{partition:02d}"


def _consumer(stream: str, partition: int, after: int) -> ConsumerConfig:
    """Return a consumer of what isn't acknowledged; of states all stay, so those after a number."""
    is_queue = stream == EVENTS_STREAM
    return ConsumerConfig(
        durable_name=durable_of(partition),
        filter_subject=f"{_PREFIXES[stream]}.{partition}.*",
        deliver_policy=DeliverPolicy.ALL if is_queue else DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=None if is_queue else after + 1,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        max_ack_pending=MAX_ACK_PENDING,
    )
