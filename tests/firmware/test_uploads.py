"""firmware.decisions.uploads: what a start could not do at once, because of the card, is done
later."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from firmware.errors import OutboxFull
from firmware.protocol.events import EventBody, PackageReady, PackageUploaded, UploadedPart
from tests.fakes.events import PublishedEvents
from tests.fakes.intake import DeskRig, desk_rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


def failing_once(real: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    errors = [error]

    def fail(*values: Any) -> Any:
        if errors:
            raise errors.pop()
        return real(*values)

    return fail


@pytest.mark.parametrize("what", ["who stands", "the list", "the document", "the telling"])
async def test_a_package_is_announced_a_minute_later_if_the_card_failed_at_the_start(rig, what):
    """Seen to fail (never announced until the next start) with nothing left for `go_on`."""
    await rig.release(rig.desk())
    rig.told.clear()
    broken = OSError(5, "input/output error")
    told: list[EventBody] = []

    def tell_now(body: EventBody) -> None:
        told.append(body)

    tell_now_or_fail = failing_once(tell_now, OutboxFull(1))

    async def tell(body: EventBody) -> None:
        (tell_now_or_fail if what == "the telling" else tell_now)(body)

    desk = rig.desk(events=PublishedEvents(tell))
    if what == "who stands":
        rig.household.revoked = failing_once(rig.household.revoked, broken)
    elif what == "the list":
        rig.outgoing.here = failing_once(rig.outgoing.here, broken)
    elif what == "the document":
        rig.outgoing.announced = failing_once(rig.outgoing.announced, broken)
    await rig.uploads.go_on()
    assert told == [], "it is before the start"
    await rig.uploads.resume([])
    assert told == []
    for _ in range(3):
        await desk.end_what_is_over()
        await rig.uploads.go_on()
    assert [type(body) for body in told] == [PackageReady], "once"


async def test_that_all_is_in_the_bucket_is_told_later_if_it_could_not_be(rig):
    await rig.release(rig.desk())
    (ready,) = rig.told_of(PackageReady)
    part = UploadedPart(number=1, etag="e", sha256="f" * 64)
    rig.outgoing.remember(ready.package_id, "u", {1: part})
    rig.desk()
    rig.outgoing.uploaded_parts = failing_once(rig.outgoing.uploaded_parts, OSError(5, "i/o"))
    await rig.uploads.resume([])
    assert rig.told_of(PackageUploaded) == []
    await rig.uploads.go_on()
    await rig.uploads.go_on()
    assert len(rig.told_of(PackageUploaded)) == 1
