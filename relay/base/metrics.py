"""Prometheus metrics: the adapter of its client library.

Only the operator sees them, on a listener of their own. A label is a route's template, a status, a
log or a part: never a device, an account, an agency or a request.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from relay.base.request_ids import method_of, template_of

BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFigures:
    """Metrics of one public log."""

    size: int
    published_size: int
    age_s: float | None
    """Since a quorum of witnesses last signed; None as long as none has."""
    witness_age_s: Mapping[str, float | None] = field(default_factory=dict)
    """Of each of the policy's; None of one that isn't under the newest checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFigures:
    """Metrics of one of the broker's streams."""

    waiting: int
    redelivered: int
    oldest_s: float
    """How long the oldest message has been in it; 0 if there is none."""
    has_leader: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFigures:
    """The metrics that are read from the database; None where a part doesn't exist."""

    commands_waiting: int
    pushes_waiting: int
    doorbells: int
    doorbells_online: int
    doorbells_cloned: int
    doorbell_certificates_ending: int
    doorbell_claims_replayed: int
    moderation_waiting: int
    moderation_oldest_s: float
    agreement_days_left: float | None
    agreement_texts_unfit: int
    database_bytes: int
    logs: Mapping[str, LogFigures]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A relay's metrics at one moment; None where a part doesn't exist."""

    parts_up: Mapping[str, bool]
    shard_directory_days_left: float | None
    backup_age_s: float | None
    disk_free_bytes: int
    oldest_write_s: float
    """How long the oldest write of this process isn't over yet; 0 if there is none."""
    open_streams: int
    """Open pages of owners (SSE) at this relay."""
    streams: Mapping[str, StreamFigures]
    """The broker's streams; empty while it can't be asked."""
    rows: RowFigures | None
    """None while the database doesn't answer: then they aren't served at all."""


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


class Metrics:
    """The metrics registry of one relay."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._row_registry = CollectorRegistry()
        self._has_rows = False
        self._requests = Counter(
            "doorward_http_requests",
            "Answers by route template and status.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "doorward_http_request_seconds",
            "Until an answer began.",
            ["route"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        self._callouts = Counter(
            "doorward_callouts",
            "Connections to the broker that this relay judged, by outcome.",
            ["outcome"],
            registry=self._registry,
        )
        self._waited = Histogram(
            "doorward_database_wait_seconds",
            "Until a write had a connection and its turn.",
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._committed = Histogram(
            "doorward_database_commit_seconds",
            "That a commit took.",
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._gauges = {
            name: Gauge(f"doorward_{name}", text, labels, registry=registry)
            for registry, gauges in (
                (self._registry, _GAUGES),
                (self._row_registry, _ROW_GAUGES),
            )
            for name, text, labels in gauges
        }

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one HTTP response."""
        route = template_of(scope)
        self._requests.labels(method_of(scope), route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def judged(self, outcome: str) -> None:
        """Count one connection to the broker: admitted, refused or malformed."""
        self._callouts.labels(outcome).inc()

    def written(self, waited_s: float, took_s: float) -> None:
        """Count one committed transaction."""
        self._waited.observe(waited_s)
        self._committed.observe(took_s)

    def take(self, figures: Figures) -> None:
        """Set the gauges to the collected values."""
        for name, is_up in figures.parts_up.items():
            self._gauges["up"].labels(name).set(is_up)
        for name in ("disk_free_bytes", "open_streams"):
            self._gauges[name].set(getattr(figures, name))
        self._gauges["database_oldest_write_seconds"].set(figures.oldest_write_s)
        self._set("shard_directory_days_left", figures.shard_directory_days_left)
        self._set("backup_age_seconds", figures.backup_age_s)
        for name in _STREAM_GAUGES:  # of a broker that is away nothing is known
            self._gauges[name].clear()
        for stream, its in figures.streams.items():
            self._gauges["stream_waiting"].labels(stream).set(its.waiting)
            self._gauges["stream_redelivered"].labels(stream).set(its.redelivered)
            self._gauges["stream_oldest_seconds"].labels(stream).set(its.oldest_s)
            self._gauges["stream_has_leader"].labels(stream).set(its.has_leader)
        self._has_rows = figures.rows is not None
        if figures.rows is not None:
            self._take_rows(figures.rows)

    def _take_rows(self, rows: RowFigures) -> None:
        for name in (
            "commands_waiting",
            "pushes_waiting",
            "doorbells",
            "doorbells_online",
            "doorbells_cloned",
            "doorbell_certificates_ending",
            "doorbell_claims_replayed",
            "moderation_waiting",
            "agreement_texts_unfit",
            "database_bytes",
        ):
            self._gauges[name].set(getattr(rows, name))
        self._gauges["moderation_oldest_seconds"].set(rows.moderation_oldest_s)
        self._set("agreement_days_left", rows.agreement_days_left)
        for log, one in rows.logs.items():
            self._gauges["log_entries"].labels(log).set(one.size)
            self._gauges["log_published_entries"].labels(log).set(one.published_size)
            self._gauges["log_age_seconds"].labels(log).set(_or_nan(one.age_s))
            for witness, age_s in one.witness_age_s.items():  # its last one isn't kept
                self._gauges["witness_age_seconds"].labels(log, witness).set(_or_nan(age_s))

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        rows = generate_latest(self._row_registry) if self._has_rows else b""
        return generate_latest(self._registry) + rows

    def _set(self, name: str, value: float | None) -> None:
        self._gauges[name].set(_or_nan(value))


def build_metrics_server(metrics: Metrics, ask: Callable[[], Awaitable[Figures]]) -> Starlette:
    """Return the metrics listener's application: one page."""

    async def page(_request: Request) -> Response:
        metrics.take(await ask())
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    return Starlette(routes=[Route("/metrics", page)])


_STREAM_GAUGES: Final = (
    "stream_waiting",
    "stream_redelivered",
    "stream_oldest_seconds",
    "stream_has_leader",
)
_GAUGES: Final[Sequence[tuple[str, str, list[str]]]] = (
    ("up", "Whether a part answers.", ["part"]),
    ("shard_directory_days_left", "Until the directory of shards ends.", []),
    ("backup_age_seconds", "Since the newest backup.", []),
    ("disk_free_bytes", "Room where the relay's data is.", []),
    (
        "database_oldest_write_seconds",
        "How long this process's oldest write isn't committed; 0 if there is none.",
        [],
    ),
    ("open_streams", "Open pages of owners that this relay sends news to.", []),
    ("stream_waiting", "Messages of the broker's stream that no relay has settled.", ["stream"]),
    ("stream_redelivered", "Of these, handed out more than once.", ["stream"]),
    (
        "stream_oldest_seconds",
        "Since the oldest of them came: of events, the oldest without a receipt.",
        ["stream"],
    ),
    ("stream_has_leader", "Whether a broker leads the stream.", ["stream"]),
)
_ROW_GAUGES: Final[Sequence[tuple[str, str, list[str]]]] = (
    ("commands_waiting", "Commands that doorbells haven't answered yet.", []),
    ("pushes_waiting", "Pushes that aren't handed over yet.", []),
    ("doorbells", "Doorbells that are enrolled.", []),
    ("doorbells_online", "Doorbells that are online.", []),
    ("doorbells_cloned", "Doorbells whose memory card is known to be in two devices.", []),
    (
        "doorbell_certificates_ending",
        "Doorbells' certificates that end within 14 days, or have ended.",
        [],
    ),
    ("doorbell_claims_replayed", "Claims that another key than the first has used.", []),
    ("moderation_waiting", "Requests that wait for a moderator.", []),
    ("moderation_oldest_seconds", "How long the oldest of them has waited.", []),
    ("agreement_days_left", "Until the first agreement in force ends.", []),
    (
        "agreement_texts_unfit",
        "Agreements' texts that are altered or missing, so that their agencies can't ask.",
        [],
    ),
    ("database_bytes", "Size of the database.", []),
    ("log_entries", "Entries of a public log that have their places.", ["log"]),
    ("log_published_entries", "Entries of a public log that the world sees.", ["log"]),
    ("log_age_seconds", "Since a quorum of witnesses last signed a log.", ["log"]),
    ("witness_age_seconds", "Since a witness last signed a log.", ["log", "witness"]),
)
"""What is read from the database."""
