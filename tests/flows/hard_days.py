"""Days on which much went wrong, for the pictures: what the page loads is altered on its way.

The pages are drawn by the real app from the real relay's answers, with these events and this
health in them; nothing else can make a card fail and a clock be wrong while somebody watches.
One recording is a real one, of which other facts are told; `clip_id` names it.
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
    "pre_roll_ms": 4_700,
    "pre_roll_set_ms": 6_000,
}

FOOTAGE = "**/vendor/protocol/footage.js"
HARDLY_FILMED = """
export * from "./footage.js?as-it-is";
import { checkManifest as check } from "./footage.js?as-it-is";
export async function checkManifest(...all) {
  return { ...(await check(...all)), lost_units: 7, is_clock_trusted: false };
}
"""
"""The app's own module; what a manifest that holds says is altered after it was checked."""

Json = dict[str, Any]
PRESSED: Json = {"type": "pressed", "camera": "working"}


class HardDays:
    """Tells one page of the owner's app of hard days at its real doorbell.

    `told` are the doorbell's real events, as the relay gives them, with a recording among them.
    """

    def __init__(self, told: list[Json]) -> None:
        clips = [one["event"] for one in told if one["event"]["body"]["type"] == "clip_ready"]
        self._device = str(clips[0]["device"])
        self._real = clips[0]["body"]
        self._now_ms = time.time_ns() // 1_000_000
        self._told: list[Json] = []
        self._tell_all()

    @property
    def address(self) -> str:
        """Where the real recording is shown, with the facts of those days."""
        return f"#/history/{self._device}/{self._real['clip_id']}"

    async def come_over(self, page: Page) -> None:
        """Let what the page loads from now on be as on those days."""
        await page.route("**/api/v1/events?*", self._events)
        await page.route("**/api/v1/doorbells", self._doorbells)
        await page.route(FOOTAGE, self._footage)

    async def end(self, page: Page) -> None:
        """Let the page load the truth again."""
        await page.unroute("**/api/v1/events?*")
        await page.unroute("**/api/v1/doorbells")
        await page.unroute(FOOTAGE)

    async def _events(self, route: Route) -> None:
        response = await route.fetch()
        await route.fulfill(response=response, body=json.dumps({"events": self._told[::-1]}))

    async def _footage(self, route: Route) -> None:
        await route.fulfill(response=await route.fetch(), body=HARDLY_FILMED)

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
        self._clip(9 * HOUR_MS, [self._tell(9 * HOUR_MS, PRESSED, offset_ms=5_000)])
        self._tell(8.9 * HOUR_MS, {"type": "pressed", "camera": "starting"}, is_lost=True)
        for number in range(14):
            self._walk((7 - number / 4) * HOUR_MS, ["Path", "Gate"] if number % 3 else [])
        self._trouble(3 * HOUR_MS, "too_much_motion")
        self._trouble(2 * HOUR_MS, "storage_key")
        self._long_ring(90 * MINUTE_MS)
        self._real_ring(70 * MINUTE_MS)
        self._trouble(40 * MINUTE_MS, "power_weak")
        self._trouble(12 * MINUTE_MS, "camera")
        self._tell(5 * MINUTE_MS, {"type": "pressed", "camera": "missing"})

    def _trouble(self, ago_ms: float, code: str, *, is_over: bool = False) -> None:
        detail = "It is over." if is_over else "It began."  # the app has words of its own
        self._tell(ago_ms, {"type": "trouble", "code": code, "is_over": is_over, "detail": detail})

    def _walk(self, ago_ms: float, zones: list[str]) -> None:
        self._clip(ago_ms, [self._tell(ago_ms, {"type": "motion", "zones": zones})])

    def _long_ring(self, ago_ms: float) -> None:
        """A recording that goes on in a second one."""
        ring = self._tell(ago_ms, PRESSED)
        self._clip(ago_ms, [ring], duration_ms=60_000)
        self._clip(ago_ms - 60_000, [ring], pre_roll_ms=0)

    def _real_ring(self, ago_ms: float) -> None:
        """Motion, two rings in it, little from before, an early end, and no clock."""
        walk = self._tell(ago_ms, {"type": "motion", "zones": ["Path"]}, offset_ms=3_000)
        rings = [self._tell(ago_ms - ms, PRESSED, offset_ms=3_000) for ms in (2_000, 9_000)]
        names = ("clip_id", "manifest_digest", "duration_ms")
        real = {name: self._real[name] for name in names}
        self._clip(ago_ms, [walk, *rings], **real, pre_roll_ms=2_000, is_cut_short=True)

    def _clip(self, ago_ms: float, trigger_ids: list[str], **facts: Any) -> None:
        first, *more = trigger_ids
        pre_roll_ms = facts.get("pre_roll_ms", 6_000)
        body: Json = {
            "type": "clip_ready",
            "clip_id": new_id(),
            "manifest_digest": "0" * 64,
            "trigger_event_id": first,
            "more_trigger_ids": more,
            "started_ms": round(self._now_ms - ago_ms) - pre_roll_ms,
            "duration_ms": 18_000,
            "pre_roll_ms": pre_roll_ms,
            "is_cut_short": False,
        }
        self._tell(ago_ms - 12_000, body | facts)

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
