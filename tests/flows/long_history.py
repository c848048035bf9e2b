"""A household's history of months at a real relay: rings and movements, most with recordings.

Which there are is the same each time. The relay's own store takes them, as from a doorbell.
"""

from collections.abc import Iterator
from random import Random

from firmware.protocol.encoding import new_id
from firmware.protocol.events import ClipReady, Event, EventBody, Motion, Pressed
from relay.store import events
from tests.relay.http_world import World

HOUR_MS = 3600 * 1000
A_DAY = 60
"""So many happenings of one day, a recording for most of them."""
SHARE_OF_RINGS = 0.08
CLIP_MS = 18_000


async def tell_history(world: World, device: str, count: int, *, now_ms: int) -> None:
    """Let so many events be told, the newest of them just now."""
    async with world.database.begin() as tx:
        for seq, (time_ms, body, event_id) in enumerate(_happenings(count, now_ms), start=1):
            event = Event(
                id=event_id,
                device=device,
                seq=seq,
                time_ms=time_ms,
                is_clock_trusted=True,
                body=body,
            )
            await events.add(tx, event, received_ms=time_ms)
    world.seq[device] = count


def _happenings(count: int, now_ms: int) -> Iterator[tuple[int, EventBody, str]]:
    """Yield the events, oldest first: each second one is the recording of the one before."""
    random, apart_ms = Random(7), 24 * HOUR_MS // A_DAY
    for number in range(count // 2):
        time_ms = now_ms - (count // 2 - number) * apart_ms + random.randrange(apart_ms // 2)
        is_ring = random.random() < SHARE_OF_RINGS
        trigger = new_id()
        yield time_ms, Pressed() if is_ring else Motion(zones=[]), trigger
        ready = ClipReady(
            clip_id=new_id(),
            manifest_digest="0" * 64,
            trigger_event_id=trigger,
            started_ms=time_ms - 6000,
            duration_ms=CLIP_MS,
            pre_roll_ms=6000,
            is_cut_short=random.random() < 0.02,
        )
        yield time_ms + CLIP_MS, ready, new_id()
