"""A recording that the release screen fetches: clips.js and its checks are real, the session isn't.

The doorbell's manifest is signed by its own key, and its library has the row that its verifier
compares with. What the relay carries of it a test may bend.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
from playwright.async_api import Page, Route

from firmware.consent.facts import ClipFact
from firmware.protocol.encoding import b64u, canonical, sha256_hex, unb64u
from firmware.protocol.events import ClipReady, Pressed
from firmware.protocol.footage import MANIFEST_TAG
from relay.web.app_server import BUNDLE
from tests.flows.asked_home import Home, clip_of
from tests.relay.http_world import OWNER_ORIGIN

DURATION_MS = 1_200
GROUPS_MS = (0, 500, 1_000)
"""Where the groups of pictures begin."""
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "footage.json").read_text("utf-8"))
LIVE_STUB = """
export * from "./live_itself.js";
const HEADS = %s;
const MP4 = Uint8Array.from(atob("%s"), (character) => character.charCodeAt(0));
class Channel extends EventTarget {
  readyState = "open";
  send(text) {
    const { get } = JSON.parse(text);
    if (get === undefined) return;
    const say = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
    setTimeout(() => {
      if (HEADS[get] === undefined) return say(JSON.stringify({ error: "no such clip" }));
      say(JSON.stringify({ clip: get, size: MP4.length, from: 0, ...HEADS[get] }));
      say(MP4.slice().buffer);
      say(JSON.stringify({ end: get }));
    });
  }
}
export class LiveSession {
  clips = new Channel();
  async start() {
    setTimeout(() => this.clips.dispatchEvent(new Event("open")));
  }
  close() {}
}
"""

AWAY_STUB = """
export * from "./live_itself.js";
export class LiveSession {
  clips = new EventTarget();
  async start() {
    throw new Error("the doorbell can't be reached");
  }
  close() {}
}
"""


def as_it_is(told: ClipReady) -> ClipReady:
    """What an honest relay carries."""
    return told


async def filmed(
    home: Home,
    *,
    begun_ms: int | None = None,
    carried: Callable[[ClipReady], ClipReady] = as_it_is,
    says_begun: bool = True,
    dating: str = "dated",
    **manifest: object,
) -> ClipReady:
    """Let somebody ring and be recorded, and this page's app fetch it; return the true telling.

    `dating` is how the doorbell knows the time, `says_begun` whether it says it. `manifest` bends
    what the doorbell signed, such as by a clock that wasn't set.
    """
    begun_ms = home.world.clock.wall_ms() - 90 * 60_000 if begun_ms is None else begun_ms
    ring = await home.world.tell(home.device, Pressed(), time_ms=begun_ms + 100)
    clip = clip_of(ring.id, begun_ms, duration_ms=DURATION_MS)
    signed = json.loads(VECTORS["signed"]["manifest"]) | {
        "clip_id": clip.clip_id,
        "device": home.device,
        "started_ms": begun_ms,
    }
    text = canonical(signed | manifest)
    clip = msgspec.structs.replace(clip, manifest_digest=sha256_hex(text))
    home.library[clip.clip_id] = ClipFact(
        manifest_digest=clip.manifest_digest,
        started_ms=begun_ms,
        ended_ms=begun_ms + DURATION_MS,
    )
    await home.world.tell(home.device, carried(clip))
    signature = b64u(home.keys.signer.sign(MANIFEST_TAG + text))
    head: dict[str, object] = {
        "digest": clip.manifest_digest,
        "manifest": {"manifest": text.decode(), "signature": signature},
    }
    if says_begun:
        head |= {"started_ms": begun_ms, "dating": dating}
    home.heads[clip.clip_id] = head
    plain = base64.b64encode(unb64u(VECTORS["plain_mp4"])).decode()
    await _answer(home.page, LIVE_STUB % (json.dumps(home.heads), plain))
    return clip


async def out_of_reach(home: Home) -> None:
    """Let no recording be fetched in this browser: it is given unwatched, or not at all."""
    await _answer(home.page, AWAY_STUB)


async def _answer(page: Page, live: str) -> None:
    """Let the app's sessions be these from its next load on."""
    scripts = {"live.js": live, "live_itself.js": (BUNDLE / "live.js").read_text("utf-8")}

    async def script(route: Route) -> None:
        name = route.request.url.rsplit("/", 1)[1]
        await route.fulfill(body=scripts[name], content_type="text/javascript")

    async def ready(route: Route) -> None:
        ice = {"ice_servers": [], "reach": "home_only", "expires_ms": 0}
        body = {"nonce": b64u(bytes(16))} if route.request.url.endswith("/nonce") else ice
        headers = {"Access-Control-Allow-Origin": OWNER_ORIGIN}
        await route.fulfill(json=body, headers=headers)

    for name in scripts:
        await page.route(f"{OWNER_ORIGIN}/{name}", script)
    for name in ("nonce", "ice"):
        await page.route(f"**/api/v1/doorbells/*/{name}", ready)
