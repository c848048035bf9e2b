"""Days on which much went wrong, for the pictures: what the relay says is altered on its way.

The pages are drawn by the real app from the real relay's answers, with these events and this
health in them; nothing else can make a card fail and a clock be wrong while somebody watches.
"""

import json
import time
from typing import Any

from playwright.async_api import Page, Route

from firmware.protocol.encoding import new_id

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
SICK = {
    "camera": "missing",
    "fps_milli": 0,
    "max_fps": 10,
    "temperature_milli_c": 81_400,
    "has_weak_power": True,
    "had_weak_power": True,
    "is_throttled": True,
    "card_free_bytes": 180_000_000,
    "card_total_bytes": 31_900_000_000,
    "sync_p99_ms": 940,
    "signal_dbm": -84,
    "is_clock_trusted": False,
    "memory_free_bytes": 41_000_000,
    "clip_count": 412,
}

Json = dict[str, Any]


class HardDays:
    """Tells one page of the owner's app of hard days at its real doorbell."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._now_ms = time.time_ns() // 1_000_000
        self._told: list[Json] = []
        self._tell_all()

    async def come_over(self, page: Page) -> None:
        """Let what the page loads from now on be as on those days."""
        await page.route("**/api/v1/events?*", self._events)
        await page.route("**/api/v1/doorbells", self._doorbells)

    async def end(self, page: Page) -> None:
        """Let the page load the truth again."""
        await page.unroute("**/api/v1/events?*")
        await page.unroute("**/api/v1/doorbells")

    async def _events(self, route: Route) -> None:
        response = await route.fetch()
        await route.fulfill(response=response, body=json.dumps({"events": self._told[::-1]}))

    async def _doorbells(self, route: Route) -> None:
        response = await route.fetch()
        answer = await response.json()
        for bell in answer["doorbells"]:
            bell["health"] = {
                "received_ms": self._now_ms,
                "health": {
                    **SICK,
                    "measured_ms": self._now_ms,
                    "oldest_clip_ms": self._now_ms - 700 * HOUR_MS,
                },
            }
        await route.fulfill(response=response, body=json.dumps(answer))

    def _tell_all(self) -> None:
        self._trouble(26 * HOUR_MS, "card_failing")
        self._trouble(25 * HOUR_MS, "too_hot")
        self._trouble(24.5 * HOUR_MS, "too_hot", is_over=True)
        ring = self._tell(9 * HOUR_MS, {"type": "pressed", "camera": "working"}, offset_ms=5_000)
        self._clip(9 * HOUR_MS, [ring])
        self._tell(8.9 * HOUR_MS, {"type": "pressed", "camera": "starting"}, is_lost=True)
        for number in range(14):
            self._walk((7 - number / 4) * HOUR_MS, ["Path", "Gate"] if number % 3 else [])
        self._trouble(3 * HOUR_MS, "too_much_motion")
        self._trouble(2 * HOUR_MS, "storage_key")
        walk = self._tell(71 * MINUTE_MS, {"type": "motion", "zones": ["Path"]})
        pressed: Json = {"type": "pressed", "camera": "working"}
        rings = [self._tell(70 * MINUTE_MS - ms, pressed) for ms in (0, 9_000)]
        self._clip(71 * MINUTE_MS, [walk, *rings], is_cut_short=True)
        self._trouble(40 * MINUTE_MS, "power_weak")
        self._trouble(12 * MINUTE_MS, "camera")
        self._tell(5 * MINUTE_MS, {"type": "pressed", "camera": "missing"})

    def _trouble(self, ago_ms: float, code: str, *, is_over: bool = False) -> None:
        detail = "One sentence of the doorbell's own, in English."
        self._tell(ago_ms, {"type": "trouble", "code": code, "is_over": is_over, "detail": detail})

    def _walk(self, ago_ms: float, zones: list[str]) -> None:
        self._clip(ago_ms, [self._tell(ago_ms, {"type": "motion", "zones": zones})])

    def _clip(self, ago_ms: float, trigger_ids: list[str], *, is_cut_short: bool = False) -> None:
        first, *more = trigger_ids
        self._tell(
            ago_ms - 12_000,
            {
                "type": "clip_ready",
                "clip_id": new_id(),
                "manifest_digest": "0" * 64,
                "trigger_event_id": first,
                "more_trigger_ids": more,
                "started_ms": round(self._now_ms - ago_ms) - 6_000,
                "duration_ms": 18_000,
                "pre_roll_ms": 6_000,
                "is_cut_short": is_cut_short,
            },
        )

    def _tell(
        self, ago_ms: float, body: Json, *, offset_ms: int | None = None, is_lost: bool = False
    ) -> str:
        """`offset_ms`: dated later by so much; `is_lost`: never dated."""
        seq, time_ms = len(self._told) + 1, round(self._now_ms - ago_ms)
        event = {
            "v": 1,
            "id": new_id(),
            "device": self._device,
            "seq": seq,
            "time_ms": time_ms - (offset_ms or 0),
            "is_clock_trusted": offset_ms is None and not is_lost,
            "body": body,
        }
        corrected_ms = None if offset_ms is None else time_ms
        told = {"relay_seq": seq, "received_ms": time_ms, "corrected_ms": corrected_ms}
        self._told.append({**told, "event": event})
        return str(event["id"])
