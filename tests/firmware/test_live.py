"""Live view over real UDP: an aiortc viewer on the other side, with real keys and signatures."""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from functools import partial

import pytest
from aiortc import RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from firmware.live.sdp_answer import AnswerSigner
from firmware.protocol.commands import IceServer, Offer, Refused
from firmware.protocol.encoding import new_id
from firmware.protocol.live import LiveAnswer, SignedLive, parse_unverified
from firmware.protocol.notes import WatchingBegan, WatchingEnded
from firmware.protocol.sdp import check_offer
from firmware.system.clock import SystemClock
from tests.fakes.clock import HurriedClock
from tests.fakes.porch import Porch, Refusal, Visitor, porch, visitor
from tests.fakes.waiting import PATIENCE_S, eventually, in_time

NAMED_CANDIDATE = (
    "a=candidate:1 1 udp 2113937151 d9c5ae7e-0000-4000-8000-000000000000.local 40000 typ host"
)


async def offer_of_nobody(here: Porch, **how: object) -> Visitor:
    """Somebody whose offer is ready, and who won't connect."""
    someone = Visitor(here, here.enrol(), **how)
    sdp = await someone.local_sdp()
    await someone.peer.close()
    someone.offered = await someone.offer(sdp)
    return someone


async def answer_to(someone: Visitor, sdp: str) -> None:
    """Offer this SDP, signed as it must be."""
    someone.session_id, someone.nonce = new_id(), None
    await someone.send(someone.browser.sign(await someone.offer(sdp)))


async def test_a_viewer_sees_thirty_decoded_frames_over_udp() -> None:
    async with porch() as here, visitor(here) as someone:
        await in_time(someone.watch())
        frames = await in_time(someone.frames(30))

        assert [(frame.width, frame.height) for frame in frames] == [(320, 240)] * 30
        assert [watcher.who.name for watcher in here.live.watchers] == ["Mary"]


async def test_joining_asks_the_camera_for_a_key_frame() -> None:
    async with porch() as here, visitor(here) as someone:
        await asyncio.sleep(0.6)  # so that none was made just now
        before = here.source.key_frame_requests
        await in_time(someone.watch())
        await in_time(someone.frames(1))

        assert here.source.key_frame_requests > before


async def test_a_picture_loss_indication_reaches_the_camera() -> None:
    async with porch() as here, visitor(here) as someone:
        await in_time(someone.watch())
        await in_time(someone.frames(3))
        await asyncio.sleep(0.6)
        before = here.source.key_frame_requests
        receiver = someone.video.receiver
        (ssrc,) = receiver._RTCRtpReceiver__active_ssrc
        await receiver._send_rtcp_pli(ssrc)

        await eventually(lambda: here.source.key_frame_requests > before)


async def test_connects_by_candidates_that_are_trickled_after_an_offer_without_any() -> None:
    async with porch() as here, visitor(here) as someone:
        sdp = await someone.local_sdp()
        lines = [line[2:] for line in sdp.splitlines() if line.startswith("a=candidate:")]
        someone.local_sdp = lambda: asyncio.sleep(0, without_candidates(sdp))
        hear = someone.peer.setRemoteDescription
        someone.peer.setRemoteDescription = lambda answer: hear(  # so that the doorbell must call
            RTCSessionDescription(sdp=without_candidates(answer.sdp), type=answer.type)
        )
        await in_time(someone.watch())
        await someone.trickle(1, *lines, is_last=True)

        assert len(await in_time(someone.frames(1))) == 1


def without_candidates(sdp: str) -> str:
    return "".join(line for line in sdp.splitlines(keepends=True) if "candidate" not in line)


async def test_a_name_that_nobody_resolves_holds_up_neither_answer_nor_picture() -> None:
    answered_s = []
    for _ in range(4):  # a busy machine may be late once
        async with porch() as here, visitor(here) as someone:
            begun_s = time.monotonic()
            sdp = await someone.local_sdp()
            with_name = sdp.replace("a=candidate", f"{NAMED_CANDIDATE}\r\na=candidate", 1)
            someone.local_sdp = partial(asyncio.sleep, 0, with_name)
            await in_time(someone.watch())
            answered_s.append(time.monotonic() - begun_s)
            await in_time(someone.frames(1))

    assert min(answered_s) < 0.5


async def test_a_viewer_too_many_is_refused_with_a_reason() -> None:
    async with porch(max_viewers=1) as here:
        first, second = await offer_of_nobody(here), await offer_of_nobody(here)
        await first.send(first.browser.sign(first.offered))
        with pytest.raises(Refusal, match="close one") as refused:
            await second.send(second.browser.sign(second.offered))

        assert refused.value.reason == "too_many_viewers"
        await first.leave()
        assert here.live.sessions == 0


async def test_a_page_that_was_loaded_anew_takes_the_place_of_its_own_old_session() -> None:
    async with porch(max_viewers=2) as here:
        other, first = await offer_of_nobody(here), await offer_of_nobody(here)
        for someone in (other, first):
            await someone.send(someone.browser.sign(someone.offered))
        async with visitor(here, first.browser) as again:
            await in_time(again.watch())

            assert set(here.live._visits) == {other.session_id, again.session_id}


async def test_candidates_that_come_before_the_answer_or_out_of_order_are_used() -> None:
    async with porch() as here, visitor(here) as someone:
        someone.peer.addTransceiver("audio", direction="recvonly")  # so it carries the bundle
        sdp = await someone.local_sdp()
        lines = [line[2:] for line in sdp.splitlines() if line.startswith("a=candidate:")]
        bare = "\r\n".join(line for line in sdp.splitlines() if "candidate" not in line) + "\r\n"
        someone.offered = await someone.offer(bare)
        answering = asyncio.create_task(someone.send(someone.browser.sign(someone.offered)))
        while here.live.sessions == 0:  # noqa: ASYNC110  # any longer, and it is answered
            await asyncio.sleep(0)
        await someone.trickle(2, is_last=True)
        await someone.trickle(1, *lines)
        answer = parse_unverified(LiveAnswer, await answering)
        description = RTCSessionDescription(sdp=answer.sdp, type="answer")
        await someone.peer.setRemoteDescription(description)
        await in_time(someone.frames(1))

        (visit,) = here.live._visits.values()
        (transport,) = visit._peer._ice_transports()
        tried = {str(candidate.port) for candidate in transport.getRemoteCandidates()}
        assert {line.split()[5] for line in lines} <= tried


async def test_the_same_offer_twice_gets_the_same_answer() -> None:
    async with porch() as here:
        someone = await offer_of_nobody(here)
        signed = someone.browser.sign(someone.offered)
        first, again = await asyncio.gather(someone.send(signed), someone.send(signed))

        assert first == again
        assert here.live.sessions == 1
        other = someone.browser.sign(await someone.offer(someone.offered.sdp))
        with pytest.raises(Refusal) as refused:
            await someone.send(other)

        assert refused.value.reason == "session_in_use"


def _torn(offer: str) -> str:
    return offer.replace("a=ice-ufrag", "a=x").replace("a=mid:0", "a=mid")


BAD_OFFERS: dict[str, Callable[[str], str]] = {
    "words": lambda _: "hello",
    "no H.264": lambda offer: offer.replace("H264", "VP8"),
    "no video": lambda offer: offer.replace("m=video", "m=audio"),
    "cut off": lambda offer: offer[:300],
    "many lines": lambda offer: offer + "a=x\r\n" * 3000,
    "a long line": lambda offer: offer + "a=" + "x" * 5000 + "\r\n",
    "another profile": lambda offer: offer.replace("profile-level-id=42", "profile-level-id=64"),
    "sends video": lambda offer: offer.replace("a=recvonly", "a=sendonly"),
    "torn": _torn,
    "two videos": lambda offer: (
        offer + offer[offer.index("m=video") : offer.index("m=application")]
    ),
    "a candidate that isn't one": lambda offer: offer.replace(
        "a=mid:0", "a=candidate:nonsense\r\na=mid:0"
    ),
    "a port beyond 65535": lambda offer: offer.replace(
        "a=mid:0", "a=candidate:1 1 udp 1 10.0.0.1 70000 typ host\r\na=mid:0"
    ),
    "no fingerprint": lambda offer: offer.replace("a=fingerprint", "a=finger"),
    "a fingerprint that isn't one": lambda offer: offer.replace("sha-256 ", "sha-256 zz"),
}


@pytest.mark.parametrize("what", BAD_OFFERS)
async def test_refuses_an_offer_with(what: str) -> None:
    async with porch() as here:
        someone = await offer_of_nobody(here)
        with pytest.raises(Refusal) as refused:
            await answer_to(someone, BAD_OFFERS[what](someone.offered.sdp))

        assert refused.value.reason == "bad_offer"
        assert here.live.sessions == 0


async def test_refuses_a_bad_ice_server_and_leaves_no_session() -> None:
    async with porch() as here:
        someone = await offer_of_nobody(here)
        with pytest.raises(Refusal) as refused:
            await someone.send(
                someone.browser.sign(someone.offered), [IceServer(urls=["http://nowhere"])]
            )

        assert refused.value.reason == "ice_server"
        assert here.live.sessions == 0


async def test_refuses_everybody_while_there_is_no_owner() -> None:
    async with porch() as here:
        someone = await offer_of_nobody(here)
        here.owners._owners = ()
        with pytest.raises(Refusal) as refused:
            await someone.send(someone.browser.sign(someone.offered))

        assert refused.value.reason == "not_paired"


async def test_offers_that_are_dropped_leave_nothing() -> None:
    async with porch(connect_s=0.05) as here:
        someone = await offer_of_nobody(here)
        tasks = len(asyncio.all_tasks())
        for _ in range(30):
            await answer_to(someone, someone.offered.sdp)
            await eventually(lambda: here.live.sessions == 0)
        await asyncio.sleep(0.1)

        assert len(asyncio.all_tasks()) <= tasks


async def test_a_viewer_that_leaves_is_cleared_away() -> None:
    async with porch() as here:
        async with visitor(here) as someone:
            await in_time(someone.watch())
            await in_time(someone.frames(1))
        await eventually(lambda: here.live.sessions == 0)

        assert here.live.watchers == ()


async def test_the_log_says_how_it_went_for_who_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "firmware.live.aiortc_sender")
    async with porch() as here:
        async with visitor(here) as someone:
            await in_time(someone.watch())
            await in_time(someone.frames(1))
        await eventually(lambda: here.live.sessions == 0)

    told = re.search(r"source='main', .* packets=(\d+),", caplog.text)
    assert told is not None
    assert int(told[1]) > 0


async def test_a_session_ends_when_its_time_is_over() -> None:
    async with porch(session_s=0.3) as here, visitor(here) as someone:
        await in_time(someone.watch())
        with pytest.raises(MediaStreamError):
            await in_time(someone.frames(1000))

        await eventually(lambda: here.live.sessions == 0)


async def test_a_renewed_session_goes_on() -> None:
    clock = HurriedClock()
    async with porch(session_s=600.0, clock=clock) as here, visitor(here) as someone:
        await in_time(someone.watch())
        await in_time(someone.opened.wait())
        assert 600 - PATIENCE_S < (await in_time(someone.told()))["ends_in_s"] <= 600
        for _ in range(3):
            clock.hurry(400)
            someone.say(type="renew")
            async with asyncio.timeout(PATIENCE_S):
                while (await someone.told())["ends_in_s"] < 600 - PATIENCE_S:
                    pass

        assert here.live.sessions == 1
        clock.hurry(600)
        await eventually(lambda: here.live.sessions == 0)


async def test_a_browser_that_was_ended_can_not_renew_and_is_ended_at_once() -> None:
    async with porch() as here, visitor(here) as someone, visitor(here) as other:
        await in_time(someone.watch())
        await in_time(other.watch())
        await in_time(someone.frames(1))
        await in_time(other.frames(1))
        await in_time(someone.opened.wait())
        here.browsers.end(someone.browser.keys.id)
        someone.say(type="renew")

        assert (await in_time(someone.told("error")))["reason"] == "unknown_browser"
        await here.live.end_browser(someone.browser.keys.id)
        assert [watcher.session_id for watcher in here.live.watchers] == [other.session_id]


async def test_closing_while_the_answer_is_made_is_told_to_who_waits() -> None:
    async with porch() as here:
        someone = await offer_of_nobody(here)
        waiting = asyncio.create_task(someone.send(someone.browser.sign(someone.offered)))
        while here.live.sessions == 0:  # noqa: ASYNC110  # any longer, and it is answered
            await asyncio.sleep(0)
        await someone.leave()
        with pytest.raises(Refusal) as refused:
            await waiting

        assert refused.value.reason == "closed"
        assert here.live.sessions == 0


async def test_the_answer_speaks_h264_only_and_takes_nothing_from_the_viewer() -> None:
    async with porch() as here, visitor(here, has_audio=True) as someone:
        answer = (await in_time(someone.watch())).sdp

        names = {line.split()[1] for line in answer.splitlines() if line.startswith("a=rtpmap:")}
        parts = answer.split("m=")
        assert "H264/90000" in names
        assert not any(name.startswith("VP8") for name in names)
        assert "a=sendonly" in next(part for part in parts if part.startswith("video"))
        assert "a=inactive" in next(part for part in parts if part.startswith("audio"))
        check_offer(someone.offered.sdp)


async def test_a_signature_that_can_not_be_made_is_a_refusal_and_leaves_no_session() -> None:
    class Broken:
        def sign(self, _data: bytes) -> bytes:
            raise OSError("the token is gone")

    async with porch() as here:
        here.live._signer = AnswerSigner(Broken(), device=here.keys.device, clock=SystemClock())
        someone = await offer_of_nobody(here)
        with pytest.raises(Refusal, match="sign"):
            await someone.send(someone.browser.sign(someone.offered))

        assert here.live.sessions == 0


async def test_every_viewer_and_the_owners_learn_who_watches() -> None:
    async with porch() as here, visitor(here, here.enrol("Kitchen tablet")) as first:
        await in_time(first.watch())
        await in_time(first.opened.wait())
        async with visitor(here) as second:
            await in_time(second.watch())
            told = await in_time(_told_of(first, 2))
            lines = [(one["name"], one["browser"], one["is_you"]) for one in told]
            assert lines == [("Mary", "Kitchen tablet", True), ("Mary", "Phone", False)]
        assert len(await in_time(_told_of(first, 1))) == 1

    kinds = [type(note) for note in here.notes_to(first.browser)]
    assert kinds == [WatchingBegan] * 2 + [WatchingEnded] * 2


async def _told_of(someone: Visitor, count: int) -> list[dict]:
    while len(watching := (await someone.told())["watching"]) != count:
        pass
    return watching


async def test_a_visit_for_recordings_gives_no_live_view_and_is_no_watching() -> None:
    async with porch() as here, visitor(here, purpose="clips") as someone:
        await in_time(someone.watch())
        state = await in_time(someone.told())
        with pytest.raises(TimeoutError):
            await in_time(someone.frames(1), 0.5)

        assert (state["stream"], state["watching"]) == ("none", [])
        assert here.live.watchers == ()
        assert here.told == []


async def test_refusals_fit_into_one_line_whatever_came_in() -> None:
    async with porch() as here:
        someone = await offer_of_nobody(here)
        signed = someone.browser.sign(someone.offered)
        odd = '{"' + "\\u0007\\n" * 300 + '":1}'
        reply = await here.viewing.on_command(
            Offer(
                session_id=someone.session_id,
                signed=SignedLive(text=odd, signature=signed.signature),
                ice_servers=[],
            )
        )

        assert isinstance(reply, Refused)
        assert reply.detail.isprintable()
        assert len(reply.detail) <= 200
