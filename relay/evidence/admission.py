"""Admission of packages: each is bound to the logged release that it belongs to, within quotas.

The relay distrusts doorbells as well: one may be stolen, or bought to discredit a town. A package
is taken only if

- its doorbell's card isn't cloned;
- the doorbell has an owner, and was enrolled before the requested time began;
- the public log has a release to which this very doorbell committed while the request stood; and
- that release is of this package, for this request and agency.

A release is of one package only, and no second one is taken for it.

All of it is in the database, so a restart or a second relay process resets no quota. What can't be
bound is told to its doorbell, and stays out of the public record.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from firmware.protocol.commands import NotTakenReason
from firmware.protocol.custody import MAX_PACKAGES_PER_REQUEST
from firmware.protocol.events import PackageReady
from firmware.protocol.releases import is_of_delivery
from relay.errors import RelayError
from relay.store import fleet, packages, releases, requests, routing
from relay.store.database import Transaction
from relay.store.fleet import DoorbellRow
from relay.store.packages import Package
from relay.store.requests import RequestRow

DAY_MS = 24 * 3600 * 1000
MAX_OPEN_PER_REQUEST = 1
MAX_PER_DAY = 8
MAX_BYTES_PER_DAY = 8 * 2**30
MAX_OPEN_PER_ACCOUNT = 20
UPLOAD_LIFE_MS = 7 * DAY_MS
"""An upload that is open for longer is dropped, and a package on its way blocks no other."""
COMMITTED_SLACK_MS = 15 * 60 * 1000
"""An event may be so long on its way when its request ends."""


class PackageRefused(RelayError):
    """A doorbell announced or finished an invalid package; the text says why."""


class PackageNotBound(PackageRefused):
    """A package that belongs to no release, or is beyond a quota; `reason` is told its doorbell."""

    def __init__(self, reason: NotTakenReason, text: str) -> None:
        super().__init__(text)
        self.reason: NotTakenReason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class _Announced:
    """An announcement, with the rows that it is held to."""

    ready: PackageReady
    doorbell: DoorbellRow
    request: RequestRow


async def admit(tx: Transaction, device: str, ready: PackageReady, *, now_ms: int) -> Package:
    """Store a package as bound to its logged release, or raise PackageNotBound.

    One that was bound before is returned as it is.
    """
    doorbell = await fleet.get(tx, device)
    _check_parts(ready)
    known = await packages.find_package(tx, ready.package_id)
    if known is not None:
        if not _is_same(known, device, ready):
            raise PackageNotBound("spent", "another package has this id")
        return known
    request = await requests.find_request(tx, ready.request_id)
    if request is None or request.state != "logged" or request.agency != ready.agency:
        text = "the package is for no published request of the agency that it names"
        raise PackageNotBound("request", text)
    if doorbell is None or doorbell.revoked_ms is not None:
        raise PackageNotBound("owner", "no such doorbell is enrolled")
    announced = _Announced(ready=ready, doorbell=doorbell, request=request)
    await _check_doorbell(tx, announced)
    await _check_release(tx, announced)
    await _check_quotas(tx, announced, now_ms=now_ms)
    package = _package(announced, now_ms)
    await packages.add_package(tx, package)
    return package


async def _check_doorbell(tx: Transaction, announced: _Announced) -> None:
    """Refuse a doorbell that can't have filmed what it sends, or that is nobody's."""
    if announced.doorbell.cloned_ms is not None:
        raise PackageNotBound("cloned", "another device uses a copy of the doorbell's card")
    if not await routing.has_owner(tx, announced.doorbell.device):
        raise PackageNotBound("owner", "the doorbell has no owner")
    if announced.doorbell.enrolled_ms > announced.request.request.from_ms:
        raise PackageNotBound(
            "enrolled_late", "the doorbell was enrolled after the requested time began"
        )


async def _check_release(tx: Transaction, announced: _Announced) -> None:
    """Refuse a package whose record isn't this doorbell's published release of just it."""
    ready, device, request = announced.ready, announced.doorbell.device, announced.request
    if ready.record.device != device:
        raise PackageNotBound("not_logged", "the record is another doorbell's")
    release = await releases.find(tx, ready.record.digest(), device)
    if release is None or not await releases.is_logged(tx, release):
        raise PackageNotBound("not_logged", "this doorbell committed to no such logged release")
    if release.committed_ms > request.request.expires_ms + COMMITTED_SLACK_MS:
        raise PackageNotBound("request", "the release was committed to after the request's end")
    if not is_of_delivery(
        ready.record,
        package_id=ready.package_id,
        request_digest=request.digest,
        agency=ready.agency,
        salt_d=ready.salt_d,
    ):
        raise PackageNotBound("not_logged", "the logged release is of another package")


async def _check_quotas(tx: Transaction, announced: _Announced, *, now_ms: int) -> None:
    used = await packages.usage(
        tx,
        announced.doorbell.device,
        announced.ready.request_id,
        since_ms=now_ms - DAY_MS,
        open_since_ms=now_ms - UPLOAD_LIFE_MS,
    )
    if used.all_of_request >= MAX_PACKAGES_PER_REQUEST:
        text = f"a doorbell may answer a request with {MAX_PACKAGES_PER_REQUEST} packages"
        raise PackageNotBound("request_limit", text)
    for text in _exceeded(used, announced.ready.size_bytes):
        raise PackageNotBound("limit", text)


def _exceeded(used: packages.Usage, size_bytes: int) -> Iterator[str]:
    """Yield a sentence for each passing quota that one more package of this size would exceed."""
    if used.open_of_request >= MAX_OPEN_PER_REQUEST:
        yield "another package for this request is still on its way"
    if used.count_today >= MAX_PER_DAY:
        yield f"a doorbell may announce {MAX_PER_DAY} packages a day"
    if used.bytes_today + size_bytes > MAX_BYTES_PER_DAY:
        yield f"a doorbell may announce {MAX_BYTES_PER_DAY // 2**30} GiB a day"
    if used.open_of_account >= MAX_OPEN_PER_ACCOUNT:
        yield f"an owner may have {MAX_OPEN_PER_ACCOUNT} packages on their way"


def _is_same(known: Package, device: str, ready: PackageReady) -> bool:
    return (
        known.device == device
        and known.part_sha256 == tuple(ready.part_sha256)
        and known.commitment == ready.record.digest()
    )


def _package(announced: _Announced, now_ms: int) -> Package:
    ready = announced.ready
    return Package(
        package_id=ready.package_id,
        request_id=ready.request_id,
        device=announced.doorbell.device,
        agency=ready.agency,
        size_bytes=ready.size_bytes,
        part_bytes=ready.part_bytes,
        part_sha256=tuple(ready.part_sha256),
        upload_id=None,
        object_key=None,
        state="announced",
        at_ms=now_ms,
        commitment=ready.record.digest(),
        announced_ms=now_ms,
    )


def _check_parts(ready: PackageReady) -> None:
    expected = -(-ready.size_bytes // ready.part_bytes)
    if len(ready.part_sha256) != expected:
        raise PackageNotBound(
            "form", f"{ready.size_bytes} bytes are {expected} parts, not {len(ready.part_sha256)}"
        )
