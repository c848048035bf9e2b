"""The town's clock: somebody at its page, who winds it; and what time it is in the town.

The demo's town has the delays that every town has, and is wound through them. Others that are made
here have short ones, and wait.
"""

import re
import time

from firmware.protocol.town_clock import read_offset_ms
from tests.story.api import Api
from tests.story.settings import Settings, StoryError


class TownHand:
    """Somebody at the page /town."""

    def __init__(self, settings: Settings) -> None:
        self._file = settings.town_clock
        self.is_wound = settings.has_real_delays
        self._api = Api(settings.relay_url, origin=settings.relay_url)

    def now_ms(self) -> int:
        """Return the town's time."""
        return time.time_ns() // 1_000_000 + read_offset_ms(self._file)

    async def wind(self, step: str) -> None:
        """Press a button: "minutes", "batch", "day" or "week"."""
        found = re.search(r'data-ahead-ms="(\d+)"', await self._page())
        if found is None:
            raise StoryError("the town's page doesn't say how far its clock is ahead")
        fields = {"ahead_ms": found.group(1), "step": step}
        answer = await self._api.request("POST", "/town", data=fields)
        if answer.status_code != 303:
            raise StoryError(f"the clock wasn't wound: {answer.status_code} {answer.text[:200]}")

    async def to_next_batch(self) -> None:
        """Go to the next batch's end, if batches take long here."""
        if self.is_wound:
            await self.wind("batch")

    async def waiting(self) -> list[str]:
        """Return the kinds of all that waits for its time, soonest first."""
        return re.findall(r'<tr data-kind="([a-z_]+)"', await self._page())

    async def figures(self) -> dict[str, int]:
        """Return what the public record says of the whole town, by name."""
        page = await self._api.get_page("/transparency")
        rows = re.findall(r'<tr data-figure="([^"]+)">.*?<td>(\d+)</td>', page, re.S)
        return {name: int(count) for name, count in rows}

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def _page(self) -> str:
        return await self._api.get_page("/town")
