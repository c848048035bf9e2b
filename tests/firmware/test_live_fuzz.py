"""Rubbish in everything that live view hears: SDP, signalling, data channels. Nothing may break.

What is well signed comes from an enrolled browser that lost its mind: only that reaches aiortc's
parser. Each answer is a document or a named refusal; no session, task or file handle is left, and
no error is logged. `DOORWARD_FUZZ_CPU_S` is how much processor time each of the three takes.
"""

import asyncio
import contextlib
import json
import logging
import os
import random
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from firmware.live.clip_channel import ClipChannel
from firmware.live.control_channel import ControlChannel, Reply, Talk, Wish, parse_wish
from firmware.live.errors import LiveError
from firmware.live.feed import ClipGops
from firmware.live.reply_channel import ReplyChannel
from firmware.protocol.commands import Candidates, CommandBody, Offer, Refused
from firmware.protocol.encoding import WireError, new_id
from firmware.protocol.live import LiveCandidates, SignedLive
from tests.fakes.channel import FakeChannel
from tests.fakes.loudspeaker import Sounding
from tests.fakes.porch import CLIP_ID, OneClip, Porch, Refusal, Visitor, porch
from tests.fakes.waiting import eventually

CPU_S = float(os.environ.get("DOORWARD_FUZZ_CPU_S", "2"))
SEED = int(os.environ.get("DOORWARD_SEED", random.randrange(2**32)))
OFFERS = Path(__file__).parent.parent / "vectors" / "sdp"

NASTY = (
    "", " ", "\r\n", "\0", "-1", "0", "65536", "99999999999999999999", "1e999", "é", "\u2028",
    "a=mid:0", "a=group:BUNDLE 0 0 1", "a=setup:active", "a=setup:holdconn", "a=ice-lite",
    "a=inactive", "a=sendrecv", "a=rtcp-fb:* nack", "a=extmap:99999 x", "a=fmtp:96 apt=96",
    "a=rtpmap:96 H264/0", "a=ssrc:-1 cname:x", "a=ssrc-group:FID 1", "a=msid:- -",
    "a=sctp-port:0", "a=max-message-size:0", "c=IN IP6 ::", "m=video 0 x 96", "a=ice-pwd:",
    "a=fingerprint:sha-256 AA:BB", "a=fingerprint:md5 AA", "a=rid:x send", "a=simulcast:send x",
)  # fmt: skip


def mutated(text: str, dice: random.Random) -> str:
    """Change a text as no browser would, one to four times."""
    for _ in range(dice.randint(1, 4)):
        at = dice.randint(0, len(text))
        match dice.randrange(6):
            case 0:  # one character
                text = text[:at] + chr(dice.randrange(1, 0x250)) + text[at + 1 :]
            case 1:  # a piece away, or twice
                end = min(len(text), at + dice.randrange(1, 400))
                text = text[:at] + text[at:end] * dice.choice((0, 2)) + text[end:]
            case 2:
                text = text[:at] + dice.choice(NASTY) + text[at:]
            case 3 if text:  # lines in another order, or said again
                lines = text.split("\r\n")
                lines.insert(dice.randrange(len(lines)), dice.choice(lines + list(NASTY)))
                text = "\r\n".join(lines)
            case 4 if text:  # a word for another
                words = text.split(" ")
                words[dice.randrange(len(words))] = dice.choice(words + list(NASTY))
                text = " ".join(words)
            case _:
                text = text[:at]
    return text


def rounds(seconds: float) -> Iterator[int]:
    """Count up until this process has used so much processor time."""
    end_s = time.process_time() + seconds
    count = 0
    while time.process_time() < end_s or count < 20:
        yield count
        count += 1


@asynccontextmanager
async def unharmed(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Fail if anything is uncaught, logged as an error, or left behind."""
    print(f"DOORWARD_SEED={SEED}")
    uncaught: list[str] = []

    def note(_: asyncio.AbstractEventLoop, context: dict) -> None:
        error = context.get("exception")
        trace = "" if error is None else "".join(traceback.format_exception(error))
        uncaught.append(f"{context['message']}\n{trace}")

    asyncio.get_running_loop().set_exception_handler(note)
    tasks, handles = len(asyncio.all_tasks()), _handles()
    with caplog.at_level(logging.WARNING):
        yield
        await asyncio.sleep(0.3)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]

    assert "\n".join(uncaught) == ""
    assert [record.getMessage() for record in errors] == []
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
    await eventually(lambda: _handles() <= handles + 2)


def _handles() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def own_sdp(here: Porch) -> str:
    someone = Visitor(here, here.enrol(), has_audio=True)
    try:
        return await someone.local_sdp()
    finally:
        await someone.peer.close()


async def test_no_sdp_breaks_it(caplog: pytest.LogCaptureFixture) -> None:
    dice = random.Random(SEED)
    taken = refused = 0
    reasons: set[str] = set()
    async with porch(connect_s=0.05) as here:
        offers = [file.read_text() for file in OFFERS.glob("*.sdp")] + [await own_sdp(here)]
        browser = here.enrol()
        async with unharmed(caplog):
            for _ in rounds(CPU_S):
                someone = Visitor(here, browser)
                offer = await someone.offer(mutated(dice.choice(offers), dice)[:65_000] or "v")
                try:
                    await someone.send(browser.sign(offer))
                    taken += 1
                except Refusal as refusal:
                    reasons.add(refusal.reason)
                    refused += 1
                await someone.leave()
                assert here.live.sessions == 0
    print(f"{taken} taken, {refused} refused")
    assert taken > 0
    assert reasons == {"bad_offer"}


async def test_no_signalling_breaks_it(caplog: pytest.LogCaptureFixture) -> None:
    dice = random.Random(SEED)
    heard = 0
    async with porch() as here:
        browser = here.enrol()
        sdp = await own_sdp(here)
        watching = Visitor(here, browser)
        watching.offered = await watching.offer(sdp)
        async with unharmed(caplog):
            await watching.send(browser.sign(watching.offered))
            number = 0
            for _ in rounds(CPU_S):
                number = number % 16 + 1
                lines = [mutated(line, dice)[:512] or "x" for line in sdp.splitlines()[-8:]]
                document = LiveCandidates(
                    device=here.keys.device,
                    session_id=watching.session_id,
                    nonce=watching.offered.nonce,
                    browser=browser.keys.id,
                    number=number,
                    candidates=lines,
                    is_last=dice.random() < 0.01,
                )
                signed = browser.sign(document)
                if dice.random() < 0.5:
                    signed = SignedLive(
                        text=mutated(signed.text, dice) or "x", signature=signed.signature
                    )
                kind = dice.choice((Candidates, Offer))
                more = {"ice_servers": []} if kind is Offer else {}
                session_id = dice.choice((watching.session_id, new_id()))
                body = kind(session_id=session_id, signed=signed, **more)
                heard += await _hear(here, msgspec.json.encode(body).decode(), dice)
            await watching.leave()
    print(f"{heard} heard")
    assert heard > 0


async def _hear(here: Porch, text: str, dice: random.Random) -> bool:
    """Let the doorbell hear a command, as it comes or changed on its way."""
    if dice.random() < 0.3:
        text = mutated(text, dice)
    try:
        body = msgspec.json.decode(text.encode("utf-8", "replace"), type=CommandBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    if not isinstance(body, Candidates | Offer):
        return False
    reply = await here.viewing.on_command(body)
    assert not isinstance(reply, Refused) or reply.detail.isprintable()
    return True


class NoPlayer:
    """Counts what it should play."""

    played = 0

    def play(self, clip_id: str, reel: ClipGops) -> None:  # noqa: ARG002
        self.played += 1

    def stop(self) -> None: ...


GET = {"get": CLIP_ID}
CLIP_WISHES = ({"list": True}, GET, {**GET, "from": 2_000_000}, {"play": CLIP_ID}, {"stop": True})
CONTROL_WISHES = (
    {"type": "renew"},
    {"type": "quality", "want": "auto"},
    {"type": "replies"},
    {"type": "talk", "is_on": True, "is_open_line": True},
    {"type": "listen", "is_on": True},
    {"type": "reply", "id": CLIP_ID},
)
CLIP_WORDS = tuple(json.dumps(wish) for wish in CLIP_WISHES)
CONTROL_WORDS = tuple(json.dumps(wish) for wish in CONTROL_WISHES)
REPLY_WISHES = (
    {"type": "list"},
    {"type": "add_recording", "name": "Coming", "size": 64},
    {"type": "add_text", "name": "Coming", "text": "I'm coming", "language": "en"},
    {"type": "remove", "id": "a" * 26},
    {"type": "default", "id": None},
)
REPLY_WORDS = tuple(json.dumps(wish) for wish in REPLY_WISHES)


async def test_no_word_on_a_data_channel_breaks_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dice = random.Random(SEED)
    granted: list[Wish] = []

    class Granter:
        async def grant(self, wish: Wish) -> None:
            if isinstance(wish, Talk | Reply):
                raise LiveError("busy", "somebody is talking")
            granted.append(wish)

    player = NoPlayer()
    clips, control = ClipChannel(OneClip(), player), ControlChannel(Granter())
    sounding = Sounding(tmp_path)
    ends = {
        FakeChannel(): (clips, CLIP_WORDS),
        FakeChannel(): (control, CONTROL_WORDS),
        FakeChannel(): (ReplyChannel(sounding.live), REPLY_WORDS),
    }
    async with unharmed(caplog):
        serving = []
        for channel, (end, _) in ends.items():
            end.attach(channel)
            serving.append(asyncio.create_task(end.serve()))
        for _ in rounds(CPU_S):
            for channel, (_, words) in ends.items():
                channel.deliver(_word(dice, words))
                channel.sent.clear()
            if dice.random() < 0.5:
                await asyncio.sleep(0)
        assert not any(task.done() for task in serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
    assert granted
    assert player.played


def _word(dice: random.Random, words: tuple[str, ...]) -> str | bytes:
    word = dice.choice(words)
    match dice.randrange(4):
        case 0:
            return word
        case 1:
            return dice.randbytes(dice.randrange(200))
        case _:
            return mutated(word, dice)


def test_what_is_changed_is_mostly_refused() -> None:
    """Else the words above would try nothing."""
    dice = random.Random(SEED)
    parsed = 0
    for _ in range(500):
        with contextlib.suppress(WireError):
            parse_wish(mutated(dice.choice(CONTROL_WORDS), dice))
            parsed += 1
    assert parsed < 250
