"""The component in Home Assistant, before a real doorward-view and a real doorbell."""

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from door_process import DoorProcess
from homeassistant.components import media_source
from homeassistant.components.camera import async_get_image
from homeassistant.components.diagnostics import DOMAIN as DIAGNOSTICS
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    WebSocketGenerator,
)

OFFER = (Path(__file__).parents[2] / "vectors" / "sdp" / "chromium-156-offer.sdp").read_bytes()
CANDIDATE = "candidate:7 1 udp 2122260223 192.0.2.7 50000 typ host"
CAMERA, RING, MOTION = "camera.doorbell", "event.doorbell_ring", "event.doorbell_motion"
WATCH, TAKEN = "button.doorbell_watch", "sensor.doorbell_picture_taken"


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds; a test fails after a minute."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def set_up(hass: HomeAssistant, door: DoorProcess) -> MockConfigEntry:
    """Set one doorbell up, by hand."""
    entry = MockConfigEntry(
        domain="doorward", title="Doorbell", data={"url": door.url, "token": door.token}
    )
    entry.add_to_hass(hass)
    assert await async_setup_component(hass, "media_source", {})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: state_of(hass, CAMERA) not in ("", "unavailable"))
    return entry


def state_of(hass: HomeAssistant, entity_id: str) -> str:
    state = hass.states.get(entity_id)
    return "" if state is None else state.state


async def test_the_config_flow_says_plainly_what_is_wrong(
    hass: HomeAssistant, door: DoorProcess
) -> None:
    given = {"url": door.url, "token": door.token}
    for wrong, error in (
        ({"url": "doorbell"}, "invalid_url"),
        ({"url": "http://127.0.0.1:9"}, "cannot_connect"),
        ({"token": "another"}, "invalid_auth"),
    ):
        begun = await hass.config_entries.flow.async_init(
            "doorward", context={"source": SOURCE_USER}
        )
        flow = await hass.config_entries.flow.async_configure(begun["flow_id"], {**given, **wrong})
        assert flow["type"] is FlowResultType.FORM
        assert flow["errors"] == {"base": error}
    done = await hass.config_entries.flow.async_configure(flow["flow_id"], given)
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert done["data"] == given
    begun = await hass.config_entries.flow.async_init("doorward", context={"source": SOURCE_USER})
    again = await hass.config_entries.flow.async_configure(begun["flow_id"], given)
    assert (again["type"], again["reason"]) == (FlowResultType.ABORT, "already_configured")
    await hass.async_block_till_done()


async def test_a_ring_is_an_event_with_a_picture_and_its_age(
    hass: HomeAssistant, door: DoorProcess
) -> None:
    entry = await set_up(hass, door)
    assert state_of(hass, RING) == "unknown"
    ring = door.tell("ring")
    await until(lambda: state_of(hass, RING) != "unknown")
    told = hass.states.get(RING)
    assert told is not None
    assert told.attributes["event_type"] == "ring"
    assert told.attributes["event_id"] == ring["event"]
    assert state_of(hass, MOTION) == "unknown"
    await until(lambda: state_of(hass, TAKEN) != "unknown")
    image = await async_get_image(hass, CAMERA)
    assert (image.content_type, image.content[:2]) == ("image/jpeg", b"\xff\xd8")
    door.tell("motion")
    await until(lambda: state_of(hass, MOTION) != "unknown")
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert entry.state is ConfigEntryState.NOT_LOADED


async def test_live_view_needs_a_ring_or_a_touch(
    hass: HomeAssistant, door: DoorProcess, hass_ws_client: WebSocketGenerator
) -> None:
    await set_up(hass, door)
    ws = await hass_ws_client(hass)
    refused = await offered(ws)
    assert (refused["type"], refused["code"]) == ("error", "doorward_not_now")
    before = door.tell("say")["sessions"]  # rings alone
    await hass.services.async_call("button", "press", {"entity_id": WATCH}, blocking=True)
    answer = await offered(ws)
    assert answer["type"] == "answer"
    assert "H264" in answer["answer"]
    assert door.tell("say")["sessions"] == before + 1
    window = hass.states.get(CAMERA)
    assert window is not None
    assert window.attributes["live_because"] == "touch"


async def offered(ws) -> dict:  # type: ignore[no-untyped-def, type-arg]  # Home Assistant's client
    """Offer live view as the frontend does; return the last message of the answer."""
    offer = {"type": "camera/webrtc/offer", "entity_id": CAMERA, "offer": OFFER.decode()}
    await ws.send_json_auto_id(offer)
    begun = await ws.receive_json()
    assert begun["success"], begun
    session = await ws.receive_json()
    assert session["event"]["type"] == "session"
    candidate = {
        "type": "camera/webrtc/candidate",
        "entity_id": CAMERA,
        "session_id": session["event"]["session_id"],
        "candidate": {"candidate": CANDIDATE, "sdpMid": "0", "sdpMLineIndex": 0},
    }
    message = await ws.receive_json()
    await ws.send_json_auto_id(candidate)
    taken = await ws.receive_json()
    assert taken["success"], taken
    return message["event"]


async def test_recordings_are_a_media_source_only_by_their_own_right(
    hass: HomeAssistant, door: DoorProcess, hass_client: ClientSessionGenerator
) -> None:
    entry = await set_up(hass, door)
    (folder,) = (await media_source.async_browse_media(hass, "media-source://doorward")).children
    listed = await media_source.async_browse_media(hass, folder.media_content_id)
    (clip,) = listed.children
    found = await media_source.async_resolve_media(hass, clip.media_content_id, None)
    assert door.digest in found.url
    http = await hass_client()
    whole = await http.get(found.url)
    assert (whole.status, whole.content_type) == (HTTPStatus.OK, "video/mp4")
    mp4 = await whole.read()
    part = await http.get(found.url, headers={"Range": "bytes=4-7"})
    assert (part.status, await part.read()) == (HTTPStatus.PARTIAL_CONTENT, mp4[4:8])
    assert mp4[4:8] == b"ftyp"

    door.tell("rights live rings")
    await until(lambda: "history" not in entry.runtime_data.state.what)
    assert (await http.get(found.url)).status == HTTPStatus.FORBIDDEN
    assert (await media_source.async_browse_media(hass, "media-source://doorward")).children == []


async def test_recording_all_the_time_is_shown_where_it_was_given(
    hass: HomeAssistant, door: DoorProcess
) -> None:
    await set_up(hass, door)
    assert state_of(hass, CAMERA) != "recording"
    door.tell("rights live record rings")
    await until(lambda: state_of(hass, CAMERA) == "recording")


async def test_diagnostics_have_no_secret(
    hass: HomeAssistant, door: DoorProcess, hass_client: ClientSessionGenerator
) -> None:
    entry = await set_up(hass, door)
    assert await async_setup_component(hass, DIAGNOSTICS, {})
    await hass.async_block_till_done()  # set-up leaves our part's import to a task
    ring = door.tell("ring")
    http = await hass_client()
    answer = await http.get(f"/api/diagnostics/config_entry/{entry.entry_id}")
    assert answer.status == HTTPStatus.OK
    data = json.dumps((await answer.json())["data"])
    assert "rights" in data
    for secret in (door.token, door.url, ring["event"], entry.runtime_data.state.device):
        assert secret not in data
