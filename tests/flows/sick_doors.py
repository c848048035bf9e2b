"""The doorbell's own page on bad days: the real page, on a doorbell that says what we want."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from firmware.local_page.guard import own_origins
from firmware.local_page.web_app import door_app
from tests.fakes.local_page import WELL, SickDoorbell
from tests.flows.serving import serving
from tests.story.settings import free_ports

SICK_DOORS = {
    "camera-missing": replace(WELL, camera="missing", troubles=("camera",)),
    "card-failing": replace(
        WELL, card_free_bytes=180_000_000, troubles=("card_failing", "power_weak")
    ),
    "all-wrong": replace(
        WELL,
        camera="frozen",
        is_online=False,
        is_clock_trusted=False,
        troubles=("camera", "storage_key", "too_much_motion", "too_hot", "clock_unknown"),
    ),
}


@asynccontextmanager
async def sick_doors() -> AsyncIterator[tuple[SickDoorbell, str]]:
    """Serve the page; set `shown` of the doorbell that it asks."""
    (port,) = free_ports(1)
    address = f"http://localhost:{port}"
    bell = SickDoorbell()
    origins = own_origins(address, listen_host="127.0.0.1", listen_port=port)
    async with serving(door_app(bell, origins=origins), port):
        yield bell, f"{address}/"
