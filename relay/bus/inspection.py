"""How brokers and streams are: what `doorward-relay check` and the metrics ask of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsError

from relay.errors import BusUnavailable, said

ASK_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerState:
    """One broker that answers."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """One stream and its consumers together."""

    name: str
    replicas: int
    leader: str
    """The broker that leads it; empty: none does, so nothing goes in or out."""
    behind: tuple[str, ...]
    """Brokers with a copy that are away, or haven't caught up."""
    messages: int
    first_ms: int | None
    """When the oldest message in it was stored, by the broker's clock."""
    waiting: int
    """What no relay has settled yet."""
    redelivered: int
    """Of these, what has been handed out more than once."""


async def inspect_stream(client: Client, name: str) -> StreamState:
    """Return a stream's state, or raise BusUnavailable."""
    stream = await _ask(client, f"STREAM.INFO.{name}")
    consumers = (await _ask(client, f"CONSUMER.LIST.{name}"))["consumers"]
    cluster, state = stream.get("cluster") or {}, stream["state"]
    return StreamState(
        name=name,
        replicas=stream["config"]["num_replicas"],
        leader=_leader_of(stream),
        behind=tuple(
            peer["name"]
            for peer in cluster.get("replicas") or ()
            if peer.get("offline") or not peer.get("current")
        ),
        messages=state["messages"],
        first_ms=_ms(state["first_ts"]) if state["messages"] else None,
        waiting=(
            state["messages"]  # also of partitions without a consumer, as nobody has taken them yet
            if stream["config"]["retention"] == "workqueue"
            else sum(one["num_pending"] + one["num_ack_pending"] for one in consumers)
        ),
        redelivered=sum(one["num_redelivered"] for one in consumers),
    )


async def check_leader(client: Client, name: str, *, timeout_s: float = ASK_S) -> None:
    """Raise BusUnavailable unless a stream has a leader."""
    if not _leader_of(await _ask(client, f"STREAM.INFO.{name}", timeout_s)):
        raise BusUnavailable(f"stream {name} has no leader")


def brokers_in(answers: list[dict[str, Any]]) -> list[BrokerState]:  # Any: JSON
    """Return the brokers that answered, by name."""
    found = [
        BrokerState(name=str(one["server"]["name"]), version=str(one["server"]["ver"]))
        for one in answers
    ]
    return sorted(found, key=lambda broker: broker.name)


def _leader_of(stream: Mapping[str, Any]) -> str:  # Any: JSON
    cluster = stream.get("cluster") or {}
    is_alone = "leader" not in cluster and "replicas" not in cluster
    return str(cluster.get("leader", "the only broker" if is_alone else ""))


async def _ask(
    client: Client, name: str, timeout_s: float = ASK_S
) -> Mapping[str, Any]:  # Any: JSON
    try:
        answer = await client.request(f"$JS.API.{name}", b"", timeout=timeout_s)
    except (NatsError, TimeoutError) as error:
        raise BusUnavailable(f"the broker doesn't say how {name} is: {said(error)}") from error
    answered: dict[str, Any] = json.loads(answer.data)
    if "error" in answered:
        why = answered["error"].get("description", "")
        raise BusUnavailable(f"the broker doesn't say how {name} is: {why}")
    return answered


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text[:19] + "+00:00").timestamp() * 1000)
