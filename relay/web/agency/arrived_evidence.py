"""The evidence visible to an agency: arrived before the end of the last batch (R9).

The time that is shown is the end of that batch, and within one the order says nothing, so neither
tells when an owner decided.
"""

from dataclasses import dataclass

from relay.agency.register import RegisterView
from relay.request.batches import batch_ms_of, seen_until_ms, shown_ms
from relay.store.packages import Package
from relay.web.agency.services import AgencyServices


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedPackage:
    """One package in its agency's view."""

    package_id: str
    request_id: str
    size_bytes: int
    at_ms: int
    """When the batch was over in which it arrived."""


async def list_arrived(
    services: AgencyServices, agency: str, view: RegisterView
) -> list[ArrivedPackage]:
    """Return the packages visible to an agency, newest batch first."""
    batch_ms = batch_ms_of(view)
    until_ms = seen_until_ms(view.now_ms, batch_ms)
    packages = await services.delivery.list_for_agency(agency)
    arrived = [_arrived(row, batch_ms) for row in packages if row.at_ms < until_ms]
    return sorted(arrived, key=lambda one: (-one.at_ms, one.package_id))


async def find_arrived(
    services: AgencyServices, agency: str, package_id: str, view: RegisterView
) -> ArrivedPackage | None:
    """Return one package if the agency can see it."""
    row = await services.delivery.find_for_agency(agency, package_id)
    batch_ms = batch_ms_of(view)
    if row is None or row.at_ms >= seen_until_ms(view.now_ms, batch_ms):
        return None
    return _arrived(row, batch_ms)


def _arrived(row: Package, batch_ms: int) -> ArrivedPackage:
    return ArrivedPackage(
        package_id=row.package_id,
        request_id=row.request_id,
        size_bytes=row.size_bytes,
        at_ms=shown_ms(row.at_ms, batch_ms),
    )
