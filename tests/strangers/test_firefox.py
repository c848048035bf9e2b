"""Debian's Firefox: a recording in an engine whose WebRTC has no H.264, and the doorbell's page."""

import asyncio
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import b64u
from firmware.protocol.live import SignedLive
from tests.fakes.porch import CLIP_ID, Porch, porch
from tests.fakes.signed_clip import SignedShelf
from tests.fakes.straight_relay import StraightRelay
from tests.flows.asking_doors import asking_door
from tests.flows.serving import serving
from tests.story.settings import REPOSITORY
from tests.strangers.test_pages import AXE, KNOWN, RULES
from tests.strangers.tools import NODE, needs, needs_npm

HERE = Path(__file__).parent
APP = REPOSITORY / "relay" / "owner_app"
PAGE = "<!doctype html><html lang=en><title>Recording</title><main><h1>Recording</h1></main>"
WATCH = """(async () => {
  const { ClipReader } = await import("/app/clips.js");
  const protocol = await import("/app/vendor/protocol/browsers.js");
  const { browserIdOf, browserKeysOf, newBrowserPairs } = protocol;
  const send = async (method, path, body) => {
    const answer = await fetch(`/relay/${path}`, { method, body: JSON.stringify(body ?? {}) });
    return answer.status === 204 ? undefined : answer.json();
  };
  const relay = {
    post: (path, body) => send("POST", path, body), delete: (path) => send("DELETE", path) };
  const pairs = await newBrowserPairs();
  const keys = await browserKeysOf("Firefox", pairs);
  const told = await send("POST", "enrol", keys);
  const newNonce = async () => (await send("POST", "nonce")).nonce;
  const ready = { relay, call: async (device, purpose) => ({
    device, purpose, browser: { id: await browserIdOf(keys), pairs }, identityKey: told.identityKey,
    nonce: await newNonce(), newNonce, iceServers: [], reach: "home_only" }) };
  const reader = new ClipReader(ready, told.device);
  const which = { clipId: told.clipId, digest: told.digest, identityKey: told.identityKey };
  const clip = await reader.read(which, () => {});
  const video = document.createElement("video");
  video.muted = true;
  video.src = URL.createObjectURL(clip.blob);
  document.querySelector("main").append(video);
  await video.play();
  await new Promise((done) => video.requestVideoFrameCallback(done));
  const codecs = RTCRtpReceiver.getCapabilities("video").codecs.map(({ mimeType }) => mimeType);
  window.result = { width: video.videoWidth, pictures: clip.times_s.length,
    hasH264: codecs.includes("video/H264") };
  reader.close();
})().catch((error) => { window.result = { error: `${error} ${error?.cause ?? ""}` }; });"""


async def in_firefox(address: str, *scripts: Path) -> dict[str, Any]:
    """Return what the page's `window.result` is, and its console's errors."""
    process = await asyncio.create_subprocess_exec(
        "node", HERE / "firefox.mjs", address, *scripts,
        env={**os.environ, "DOORWARD_NODE_MODULES": str(NODE),
             "DOORWARD_FIREFOX": shutil.which("firefox-esr") or ""},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, wrong = await process.communicate()
    assert process.returncode == 0, wrong.decode()[-3000:]
    return json.loads(said)


def clip_site(here: Porch, shelf: SignedShelf) -> Starlette:
    """Serve the app's modules, and a relay that carries straight to the doorbell."""
    relay = StraightRelay(here)
    assert shelf.clip is not None
    digest = shelf.clip.digest

    async def enrol(request: Request) -> Response:
        keys = msgspec.json.decode(await request.body(), type=BrowserKeys)
        owner = here.owners.owners[0].passkey.credential_id
        here.browsers.enrol(keys, owner, time.time_ns() // 1_000_000)
        identity = b64u(here.keys.signer.spki)
        told = {"device": here.keys.device, "identityKey": identity, "clipId": CLIP_ID}
        return JSONResponse({**told, "digest": digest})

    async def nonce(_: Request) -> Response:
        return JSONResponse({"nonce": await relay.nonce()})

    async def offer(request: Request) -> Response:
        body = await request.json()
        signed = await relay.offer(body["session_id"], SignedLive(**body["signed"]))
        return JSONResponse({"signed": msgspec.to_builtins(signed)})

    async def candidates(request: Request) -> Response:
        signed = SignedLive(**(await request.json())["signed"])
        await relay.candidates(request.path_params["session"], signed)
        return Response(status_code=204)

    async def close(request: Request) -> Response:
        await relay.close(request.path_params["session"])
        return Response(status_code=204)

    doorbell = "/relay/doorbells/{device}"
    return Starlette(
        routes=[
            Route("/", lambda _: HTMLResponse(PAGE)),
            Route("/relay/enrol", enrol, methods=["POST"]),
            Route("/relay/nonce", nonce, methods=["POST"]),
            Route(f"{doorbell}/offer", offer, methods=["POST"]),
            Route(f"{doorbell}/sessions/{{session}}/candidates", candidates, methods=["POST"]),
            Route(f"{doorbell}/sessions/{{session}}", close, methods=["DELETE"]),
            Mount("/app", StaticFiles(directory=APP)),
        ]
    )


@needs("firefox-esr", of="firefox-esr")
@needs_npm("puppeteer-core")
async def test_a_recording_plays_though_webrtc_has_no_h264(tmp_path: Path) -> None:
    script = tmp_path / "watch.js"
    script.write_text(WATCH)
    shelf = SignedShelf()
    async with porch(shelf=shelf) as here:
        clip = shelf.record(here.keys, seconds=3.0, started_ms=time.time_ns() // 1_000_000)
        async with serving(clip_site(here, shelf)) as port:
            told = await in_firefox(f"http://127.0.0.1:{port}/", script)
    assert told["result"].get("error") is None, told
    assert told["result"]["pictures"] == clip.picture_count
    assert told["result"]["width"] > 0
    assert told["result"]["hasH264"] is False
    assert told["errors"] == []


@needs("firefox-esr", of="firefox-esr")
@needs_npm("puppeteer-core")
async def test_axe_finds_nothing_on_the_doorbells_own_page(tmp_path: Path) -> None:
    judge = tmp_path / "judge.js"
    judge.write_text(
        f"axe.run({{ runOnly: {json.dumps(RULES)} }})"
        ".then(({ violations }) => { window.result = violations.map(({ id }) => id); });"
    )
    async with asking_door() as (bell, address):
        bell.waits = []
        for path in ("/", "/pair"):
            told = await in_firefox(address + path, AXE, judge)
            assert set(told["result"]) <= KNOWN, (path, told["result"])
            assert told["errors"] == [], path
