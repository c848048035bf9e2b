"""The public face's dependencies; relay/app/web_wiring.py builds them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from relay.agency.agencies import Agencies
from relay.custody.log_entries import LogName
from relay.feed.service import Feed
from relay.fleet.door_notices import DoorNotices
from relay.map.places import Places
from relay.record.public_record import PublicRecord
from relay.record.witness_status import WitnessStatus
from relay.web.pages import Pages


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicLogs:
    """Both logs' witnesses, policy and proofs, for checks without trust in this relay."""

    witnessing: WitnessStatus
    policy: Callable[[], Awaitable[bytes]]
    """Returns the policy's text, or raises PolicyUnbound."""
    proof: Callable[[LogName, int], Awaitable[bytes | None]]
    """Returns the c2sp.org/tlog-proof of an entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicServices:
    """The public face's dependencies; `logs` is None where a relay keeps none."""

    pages: Pages
    agencies: Agencies
    record: PublicRecord
    door_notices: DoorNotices
    feed: Feed
    owner_origin: str
    public_url: str
    relay_name: str
    logs: PublicLogs | None = None
    places: Places = field(default_factory=Places)
    monitor_report_path: Path | None = None
