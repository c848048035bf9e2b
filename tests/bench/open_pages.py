"""Part of L2: CPU of one event to the page that it concerns, however many pages are open beside it.

`python -m tests.bench.open_pages` prints it at three sizes. The hub and the streams are the
relay's own; audiences come from memory, as they do until one is changed. The broker, HTTP and the
database are not in it.
"""

import asyncio
import statistics
import time
from collections.abc import Mapping

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event, Pressed
from relay.api.audience import Audience, Missed
from relay.api.stream import stream
from relay.notify.hub import Hub
from relay.store.events import EventRow
from tests.fakes.names import device_names

SIZES = (100, 1_000, 5_000)
EVENTS = 50
RUNS = 5


class GivenAudience:
    """One doorbell's owner, who has missed nothing."""

    def __init__(self, device: str) -> None:
        self._audience = Audience(own=frozenset({device}), credential_ids=frozenset())

    def wall_ms(self) -> int:
        """Return the time."""
        return time.time_ns() // 1_000_000

    async def audience(self) -> Audience | None:
        """Return the audience."""
        return self._audience

    async def missed(self, audience: Audience, after: Mapping[str, int]) -> Missed:  # noqa: ARG002
        """Return nothing."""
        return Missed(events=(), newest={}, heard={})


async def cpu_ms_of_an_event(pages: int, events: int = EVENTS) -> float:
    """Return the CPU of an event, in ms, with so many pages open, each of another doorbell."""
    hub, heard, greeted = Hub(), 0, 0

    async def hear(device: str) -> None:
        nonlocal heard, greeted
        async for frame in stream(hub, GivenAudience(device), account_id=device):
            greeted += frame.startswith(": hello")
            heard += "\nevent: doorbell" in frame

    devices = device_names(pages)
    reading = [asyncio.create_task(hear(device)) for device in devices]
    while greeted < pages:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0)
    rows = [
        EventRow(relay_seq=number, received_ms=1, event=_ring(device, number), after_seq=0)
        for number, device in enumerate((devices * events)[:events], 1)
    ]
    begin_s = time.process_time()
    for number, row in enumerate(rows, 1):
        hub.event_committed(row)
        while heard < number:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0)
    spent_s = time.process_time() - begin_s
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    return spent_s / events * 1000


def _ring(device: str, seq: int) -> Event:
    return Event(
        id=new_id(), device=device, seq=seq, time_ms=1, is_clock_trusted=True, body=Pressed()
    )


def main() -> None:
    """Print the medians."""
    for pages in SIZES:
        runs = [asyncio.run(cpu_ms_of_an_event(pages)) for _ in range(RUNS)]
        spread = f"{min(runs):.3f}-{max(runs):.3f}"
        print(f"{pages:,} open pages: {statistics.median(runs):.3f} ms CPU an event ({spread})")


if __name__ == "__main__":
    main()
