"""The adapter of the NATS client: the relay's way to its brokers, one or a cluster of them.

`connection` has the relay's connections and the plain messages, `streams` the JetStream streams in
which doorbells' events and states lie, `pullers` the batches that are taken from them.
"""

from relay.bus.connection import (
    NEWS_SUBJECT,
    REVOKED_SUBJECT,
    SIGNAL_SUBJECT,
    Bus,
    Kicked,
    MessageHandler,
    NewsSubscription,
)
from relay.bus.inspection import BrokerState, StreamState
from relay.bus.pullers import MAX_BATCH, Puller, StreamMessage
from relay.bus.streams import (
    EVENTS_STREAM,
    MAX_WAITING_EVENTS,
    PARTITIONS,
    STATUS_STREAM,
    partition_of,
)

__all__ = [
    "EVENTS_STREAM",
    "MAX_BATCH",
    "MAX_WAITING_EVENTS",
    "NEWS_SUBJECT",
    "PARTITIONS",
    "REVOKED_SUBJECT",
    "SIGNAL_SUBJECT",
    "STATUS_STREAM",
    "BrokerState",
    "Bus",
    "Kicked",
    "MessageHandler",
    "NewsSubscription",
    "Puller",
    "StreamMessage",
    "StreamState",
    "partition_of",
]
