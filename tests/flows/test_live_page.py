"""Live view's page in Chromium, with a real doorbell's live view behind a real relay."""

import asyncio
import io
from contextlib import asynccontextmanager
from pathlib import Path

import av
import msgspec
import pytest
from playwright.async_api import Page, Route, expect

from firmware.live.session_parts import SESSION_S
from firmware.protocol.commands import (
    Answer,
    Candidates,
    CloseSession,
    CommandBody,
    NonceWanted,
    Offer,
    Refused,
    ReplyBody,
)
from firmware.protocol.encoding import new_id
from firmware.protocol.notes import WatchingBegan, WatchingEnded
from tests.fakes.loudspeaker import Sounding, short_wav
from tests.fakes.man_in_the_middle import ManInTheMiddle
from tests.fakes.porch import visitor
from tests.fakes.waiting import eventually, in_time
from tests.flows.browser import IN_ONE_BROWSER
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.household import PICTURES_SHOWN
from tests.flows.live_session import DENIED_MICROPHONE, FAKE_MICROPHONE, Visit, visiting
from tests.relay.http_world import OWNER_ORIGIN

pytestmark = list(IN_ONE_BROWSER)

LOUD = 1000
ASKED_AT_S = 60.0
"""So long before its end a session's viewer is asked."""
NOTE_STATES = """() => {
  const state = document.querySelector("#live-state");
  window.states = [];
  const note = () => window.states.push(state.textContent);
  new MutationObserver(note).observe(state, { childList: true });
}"""
"""One may be there for a second only."""
WERE_SAID = """(wanted) => {
  let next = 0;
  for (const said of window.states) if (said.includes(wanted[next])) next += 1;
  return next === wanted.length;
}"""


async def see(at: Visit) -> None:
    """Open live view and wait until pictures come."""
    await at.see()
    await at.page.wait_for_function(PICTURES_SHOWN, arg=10)


async def hold(page: Page, *, is_down: bool) -> None:
    """Press or let go the button that is held to talk."""
    button = page.locator("#talk")
    await expect(button).to_be_enabled()  # the pictures may come before the doorbell says that
    await button.scroll_into_view_if_needed()
    box = await button.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await (page.mouse.down() if is_down else page.mouse.up())


@asynccontextmanager
async def sounding(tmp_path: Path):
    """An owner whose browser has a microphone that beeps, at a doorbell with sound."""
    sound = Sounding(tmp_path / "replies")
    async with visiting(tmp_path, flags=FAKE_MICROPHONE, sound=sound.live) as at:
        yield at, sound


async def change_a_byte(_command: CommandBody, reply: ReplyBody) -> ReplyBody:
    """A relay that changes the certificate's fingerprint in the doorbell's answer."""
    if not isinstance(reply, Answer):
        return reply
    before = "a=fingerprint:sha-256 "
    at = reply.signed.text.index(before) + len(before)
    text = reply.signed.text[:at] + "00:00" + reply.signed.text[at + 5 :]
    return Answer(
        session_id=reply.session_id, signed=msgspec.structs.replace(reply.signed, text=text)
    )


async def test_an_enrolled_browser_sees_the_door(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        await see(at)
        await expect(at.page.locator("#live-state")).to_have_text("Live")
        await expect(at.page.locator("#live-watching")).to_have_text("Only you are watching.")
        assert int(await at.page.eval_on_selector("#live", "(v) => v.dataset.firstFrameMs")) > 0
        assert await at.page.evaluate(WIDER_THAN_SCREEN) == []
        assert at.person.faults == []


async def test_a_press_of_see_uses_the_nonce_that_was_fetched_ahead(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        await see(at)
        await eventually(lambda: seen_since_an_offer(at) == [NonceWanted])
        await at.page.click("#live-done")
        await at.page.click("#see")
        await eventually(lambda: Offer in seen_since_an_offer(at))
        assert seen_since_an_offer(at)[:2] == [NonceWanted, Offer]


def seen_since_an_offer(at: Visit) -> list[type]:
    """Return which nonces and offers followed the first offer."""
    seen = [type(body) for body in at.carrier.seen if isinstance(body, NonceWanted | Offer)]
    return seen[seen.index(Offer) + 1 :]


async def test_candidates_follow_the_offer_signed_and_in_order(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        await see(at)
        await eventually(lambda: any(isinstance(body, Candidates) for body in at.carrier.seen))
        (offer,) = [body for body in at.carrier.seen if isinstance(body, Offer)]
        assert ".local" not in offer.signed.text
        assert at.person.faults == []  # the doorbell took them, or the console would complain


async def test_who_leaves_at_once_sends_the_doorbell_no_candidates_after_it(
    tmp_path: Path,
) -> None:
    async with visiting(tmp_path) as at:
        has_left = asyncio.Event()

        async def slowly(route: Route) -> None:
            await has_left.wait()
            await route.continue_()

        await at.page.route("**/candidates", slowly)
        async with at.page.expect_request("**/candidates"):
            await at.see()
        await at.page.click("#live-done")
        has_left.set()
        await eventually(lambda: any(isinstance(body, CloseSession) for body in at.carrier.seen))
        await asyncio.sleep(0.6)

        assert not any(isinstance(body, Candidates) for body in at.carrier.seen)
        assert at.person.faults == []


async def test_shows_nothing_when_the_answer_was_changed_on_the_way(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        at.carrier.change_reply = change_a_byte
        await at.see()
        await expect_refusal_of_a_changed_call(at)


async def test_shows_nothing_of_a_relay_that_answers_in_the_doorbells_place(tmp_path: Path) -> None:
    between = ManInTheMiddle()
    async with visiting(tmp_path) as at:
        at.carrier.change_reply = between.answer
        await at.see()
        # Seen to show the relay's own picture with checkAnswer taken out.
        await expect_refusal_of_a_changed_call(at)
        assert not between.has_viewer
    await between.close()


async def expect_refusal_of_a_changed_call(at: Visit) -> None:
    await expect(at.page.locator("#live-tampered")).to_contain_text(
        "Somebody between you and the doorbell changed this call. Nothing was shown."
    )
    await expect(at.page.locator("#live-again")).to_be_hidden()
    assert not await at.page.evaluate(PICTURES_SHOWN, 1)
    await eventually(lambda: at.here.live.sessions == 0)  # the doorbell was told


async def test_asks_for_another_nonce_once_if_the_doorbell_has_forgotten_the_first(
    tmp_path: Path,
) -> None:
    async with visiting(tmp_path) as at:
        at.carrier.refuse = Refused(reason="nonce", detail="ask for another and sign again")
        await at.see()
        await expect(at.page.locator("[data-reason=nonce]")).to_be_visible()
        offers = [body for body in at.carrier.seen if isinstance(body, Offer)]
        assert len(offers) == 2
        assert offers[0].signed != offers[1].signed
        at.carrier.refuse = None
        await at.page.click("#live-again")
        await at.page.wait_for_function(PICTURES_SHOWN, arg=3)


async def test_a_browser_that_is_not_enrolled_is_led_to_where_it_can_be(tmp_path: Path) -> None:
    async with visiting(tmp_path, is_enrolled=False) as at:
        for browser in at.here.browsers.all():
            at.here.browsers.end(browser.keys.id)
        await at.see()
        await at.page.click("#enrol")
        await expect(at.page.locator("[data-testid=enrol]")).to_be_visible()
        await expect(at.page.locator("#browser-name")).to_have_value("Chrome on Linux")


async def test_says_so_when_as_many_watch_as_the_doorbell_can_serve(tmp_path: Path) -> None:
    async with visiting(tmp_path, max_viewers=1) as at, visitor(at.here) as other:
        await in_time(other.watch())
        await in_time(other.frames(1))
        await at.see()
        await expect(at.page.locator("[data-reason=too_many_viewers]")).to_be_visible()
        await in_time(other.leave())
        await at.page.click("#live-again")
        await at.page.wait_for_function(PICTURES_SHOWN, arg=3)


async def test_says_who_else_watches_and_since_when(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        await see(at)
        async with visitor(at.here, at.here.enrol("Kitchen tablet")) as other:
            await in_time(other.watch())
            await in_time(other.frames(1))
            rows = at.page.locator("#live-watching li")
            await expect(rows).to_have_count(2)
            await expect(rows.nth(1)).to_contain_text("Mary Kitchen tablet, since")
        await expect(at.page.locator("#live-watching")).to_have_text("Only you are watching.")


async def test_the_first_page_says_who_watches_and_from_where_it_works(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        await at.page.goto(f"{OWNER_ORIGIN}/#/")
        await at.page.reload()
        await expect(at.page.locator("[data-reach=home_only]")).to_contain_text(
            "Live view works on your home network only"
        )
        began = WatchingBegan(
            session_id=new_id(),
            name="Nora",
            browser_name="Kitchen tablet",
            holder="owner",
            at_ms=at.world.clock.wall_ms(),
        )
        await at.note(began)
        watching = at.page.locator("[data-testid=watching-now]")
        await expect(watching).to_contain_text("Nora is watching (Kitchen tablet), since")
        ended = WatchingEnded(session_id=began.session_id, at_ms=began.at_ms + 1, has_talked=False)
        await at.note(ended)
        await expect(watching).to_have_count(0)


async def test_asks_whether_one_is_still_there_and_goes_on(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        await see(at)
        await expect(at.page.locator("#live-renew")).to_have_count(0)
        let_run_out(at, ASKED_AT_S + 1)
        await at.page.click("#live-renew")
        await expect(at.page.locator("#live-renew")).to_have_count(0)
        await eventually(lambda: left_s(at) > SESSION_S - ASKED_AT_S)  # as long anew
        let_run_out(at, ASKED_AT_S + 1)
        await expect(at.page.locator("#live-renew")).to_be_visible()  # and asked again


def left_s(at: Visit) -> float:
    """Return how long the one session goes on."""
    (visit,) = at.here.live._visits.values()
    return float(visit._ends_s - visit._now_s())


def let_run_out(at: Visit, left_s: float) -> None:
    """Let the one session have only so much time left, and its viewer be told."""
    (visit,) = at.here.live._visits.values()
    visit._ends_s = visit._now_s() + left_s
    visit._control.forget_state()
    visit.changes.notify()


async def test_says_that_its_time_is_over_and_connects_again(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        await see(at)
        let_run_out(at, 1.0)
        await expect(at.page.locator("#live-state")).to_contain_text(
            "Ended: live view goes on only"
        )
        await at.page.click("#live-again")
        await at.page.wait_for_function(PICTURES_SHOWN, arg=3)


@pytest.mark.slow
async def test_a_line_that_breaks_is_tried_again_by_itself(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        await see(at)
        await expect(at.page.locator("#live-state")).to_have_text("Live")
        await at.page.evaluate(NOTE_STATES)
        unplug(at)
        states = ["Waiting for the line to come back", "Trying again", "Live"]
        await at.page.wait_for_function(WERE_SAID, arg=states, timeout=180_000)
        await expect(at.page.locator("#live-state")).to_have_text("Live")


def unplug(at: Visit) -> None:
    """Take the doorbell's sockets away without a word; there is no other way to do that."""
    for visit in at.here.live._visits.values():
        for transport in visit._peer._connection._RTCPeerConnection__iceTransports:
            for protocol in transport._connection._protocols:
                protocol.transport.abort()


async def test_a_snapshot_is_the_picture_that_is_shown(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        await see(at)
        async with at.page.expect_download() as downloading:
            await at.page.click("#snapshot")
        download = await downloading.value
        assert download.suggested_filename.startswith(f"doorbell-{at.device[-4:]}-20")
        file = await download.path()
        with av.open(io.BytesIO(await asyncio.to_thread(file.read_bytes))) as picture:
            frame = next(picture.decode(video=0))
        assert (frame.width, frame.height) == (320, 240)


async def test_keys_work_and_can_be_switched_off(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        await see(at)
        is_full = "() => document.fullscreenElement?.id === 'live-screen'"
        await at.page.keyboard.press("f")
        await at.page.wait_for_function(is_full)
        await expect(at.page.locator("#live-watching")).to_be_in_viewport()
        await at.page.keyboard.press("f")
        await at.page.wait_for_function("() => document.fullscreenElement === null")
        await at.page.click("#live-more")
        await at.page.click(".shortcuts summary")
        await at.page.uncheck("#shortcuts-on")
        await at.page.keyboard.press("f")
        await at.page.wait_for_timeout(200)
        assert not await at.page.evaluate(is_full)


async def test_the_picture_goes_into_a_small_window_and_comes_back(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        await see(at)
        await at.page.click("#live-more")
        await at.page.click("#picture-aside")
        await at.page.wait_for_function(
            "() => document.pictureInPictureElement?.closest('#live-screen')"
        )
        await at.page.click("#picture-aside")
        await at.page.wait_for_function("() => document.pictureInPictureElement === null")


async def test_tells_picture_and_line_on_request(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        await see(at)
        await at.page.click("#live-more")
        await at.page.click("#live-details")
        facts = at.page.locator("#live-facts")
        await expect(facts.locator("[data-fact=picture]")).to_have_text("320 × 240")
        await expect(facts.locator("[data-fact=rate]")).to_contain_text("kbit/s")
        await expect(facts.locator("[data-fact=late]")).to_contain_text("ms")
        await expect(facts.locator("[data-fact=way]")).to_have_text("Straight from your doorbell")


async def test_a_voice_is_heard_at_the_door_only_while_the_button_is_held(tmp_path: Path) -> None:
    async with sounding(tmp_path) as (at, sound):
        await see(at)
        await at.page.wait_for_timeout(500)
        assert sound.speaker.frames == []
        await hold(at.page, is_down=True)
        await expect(at.page.locator("#talk-words")).to_contain_text("You are heard at the door")
        await eventually(lambda: sound.speaker.loudest > LOUD)
        await hold(at.page, is_down=False)
        await eventually(lambda: sound.floor.talker is None)
        said = len(sound.speaker.frames)
        await at.page.wait_for_timeout(500)
        assert len(sound.speaker.frames) == said
        assert at.person.faults == []


async def test_an_open_line_stays_open_until_it_is_closed(tmp_path: Path) -> None:
    async with sounding(tmp_path) as (at, sound):
        await see(at)
        await at.page.click("#live-more")
        await at.page.click("#open-line")
        await eventually(lambda: sound.speaker.loudest > LOUD)
        await expect(at.page.locator("#open-line")).to_have_attribute("aria-pressed", "true")
        await at.page.click("#open-line")
        await eventually(lambda: sound.floor.talker is None)


async def test_the_door_is_heard_only_after_a_press_of_listen(tmp_path: Path) -> None:
    async with sounding(tmp_path) as (at, sound):
        await see(at)
        is_muted = "document.querySelector('#live').muted"
        assert await at.page.evaluate(is_muted)
        assert not sound.microphone.has_readers
        humming = asyncio.create_task(sound.hum(), name="hum")
        await at.page.click("#listen")
        await eventually(lambda: sound.microphone.has_readers)
        await at.page.wait_for_function(f"!{is_muted}")
        await at.page.click("#listen")
        await eventually(lambda: not sound.microphone.has_readers)
        humming.cancel()


async def test_a_quick_reply_is_said_at_the_door(tmp_path: Path) -> None:
    async with sounding(tmp_path) as (at, sound):
        await sound.replies.add_recording("I'm coming", short_wav())
        await see(at)
        await at.page.click("#reply")
        await at.page.click("[data-testid=quick-reply]")
        await expect(at.page.locator("#replies")).to_contain_text(
            "Your doorbell says “I'm coming”."
        )
        await eventually(lambda: b"reply" in sound.speaker.frames)


async def test_offers_no_talk_where_there_is_no_loudspeaker(tmp_path: Path) -> None:
    async with sounding(tmp_path) as (at, sound):
        sound.speaker.has_device = False
        await see(at)
        await expect(at.page.locator("#talk-words")).to_contain_text("has no loudspeaker")
        await expect(at.page.locator("#talk")).to_be_disabled()
        await expect(at.page.locator("#open-line")).to_be_disabled()


async def test_says_what_to_do_when_the_microphone_is_denied(tmp_path: Path) -> None:
    sound = Sounding(tmp_path / "replies")
    async with visiting(tmp_path, flags=DENIED_MICROPHONE, sound=sound.live) as at:
        await see(at)
        await hold(at.page, is_down=True)
        await expect(at.page.locator("#talk-words")).to_contain_text(
            "This browser may not use the microphone."
        )
        assert sound.floor.talker is None
