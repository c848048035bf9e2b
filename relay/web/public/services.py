"""The public face's dependencies; relay/app/web_wiring.py builds them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from relay.agency.agencies import Agencies
from relay.credit.public_ledger import PublicLedger
from relay.custody.log_entries import LogName
from relay.feed.service import Feed
from relay.fleet.door_notices import DoorNotices
from relay.heatmap.published import PublishedMap
from relay.map.map_data import MapData
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
    credits: PublicLedger
    feed: Feed
    owner_origin: str
    public_url: str
    relay_name: str
    theft_map: PublishedMap
    has_address_counts: bool = False
    """Without the operator's file of addresses the theft map stays blank."""
    maps: MapData = field(default_factory=MapData)
    logs: PublicLogs | None = None
    monitor_report_path: Path | None = None
