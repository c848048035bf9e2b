"""`doorward answer` through a relay that lies about requests, recordings and what came of it.

The relay carries the line, the statement and the notes. What it can't do is make the terminal show
or sign anything but what the doorbell said, or tell in the doorbell's name what became of it.
"""

import json
import threading
from collections.abc import AsyncIterator, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from firmware.companion.authenticator.passkey import Site
from firmware.companion.owner.account import Account
from firmware.companion.owner.cli import main as doorward
from firmware.companion.owner.key_file import make_key_file
from firmware.companion.owner.owner_statements import send
from firmware.companion.owner.pairing import PairedDoorbell
from firmware.companion.owner.reply_inbox import Answer, ReplyInbox
from firmware.companion.owner.request_answer import Choice, ProposedStatement
from firmware.companion.owner.request_commands import outcome_text
from firmware.companion.owner.request_texts import (
    given_lines,
    grant_asked,
    offered_lines,
    request_lines,
)
from firmware.companion.owner.waiting_texts import asking_lines
from firmware.companion.viewer.cli import main as doorward_view
from firmware.companion.viewer.errors import AnswerRefused
from firmware.companion.viewer.folder import Folder
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.protocol.asking import GivenLine, OfferedClip, RequestedClip
from firmware.protocol.decisions import IdentityGiven
from firmware.protocol.encoding import b64u, decode, new_id, unb64u
from firmware.protocol.grants import Owner, SignedStatement, Statement, open_statement
from firmware.protocol.live import LiveAnswer, SignedLive, parse_unverified
from firmware.protocol.notes import (
    NOTE_TAG,
    ConfirmationWanted,
    NoteBody,
    OwnerNote,
    SignedNote,
    StatementDone,
    seal_note,
)
from firmware.protocol.players import PlayerSetup, setup_text
from tests.attacks.test_a_far_word_is_its_owners_alone import OWN_FINGERPRINT, own_certificate
from tests.fakes.asked_house import AskedHouse, asked_house
from tests.fakes.terminal import ManualPatience
from tests.fakes.waiting import in_time
from tests.flows.laptop_home import home
from tests.flows.test_pair_program import CLI, pair

SITE = Site.of("https://owner.example")
EVIL = "Burglary\x1b[2J\x1b[1;1H\r\x9b31m\u202egnihton\u2066\x07\x00\n\nWHAT LEAVES: nothing"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[AskedHouse]:
    async with asked_house(tmp_path) as found:
        yield found


@pytest.fixture
def mallory(tmp_path: Path) -> DeviceKeys:
    """Keys that the relay has made, as if it were a doorbell."""
    folder = tmp_path / "mallory"
    folder.mkdir()
    return load_or_make_keys(folder)


class LyingRelay:
    """Answers whatever is asked with lies of its own, and keeps what it was sent."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.sealed: list[str] = []
        self.notes: list[str] = []

    def account(self) -> Account:
        http = httpx2.Client(transport=httpx2.MockTransport(self._answer))
        return Account(http, "https://relay.example")

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path.rsplit("/", 1)[-1])
        if request.method == "POST":
            self.sealed.append(json.loads(request.read())["sealed"])
        bodies = [{"type": "note", "sealed": sealed} for sealed in self.notes]
        lies: dict[str, Any] = {
            "requests": [{"digest": "f" * 64, "agency": "Mallory's police", "clips": ["all"]}],
            "events": [{"relay_seq": 1, "event": {"body": body}} for body in bodies],
            "next": "d.1",
            "has_more": False,
        }
        return httpx2.Response(200, json=lies)


def paired_with(keys: DeviceKeys, passkey: Any) -> PairedDoorbell:
    return PairedDoorbell(
        relay="https://relay.example",
        device=keys.device,
        identity_key=keys.identity_key,
        sealing_key=keys.sealing_key,
        owner=Owner(name="Ada", passkey=passkey.key),
    )


# What is shown, and signed.


async def test_only_the_doorbells_request_is_signed_whatever_the_relay_says(
    house: AskedHouse,
) -> None:
    relay, keys = LyingRelay(), house.rig.keys
    passkey = make_key_file(house.folder / "passkey", name="Ada", passphrase="", site=SITE)
    world = house.rig.world
    digest = world.signed_request.request_digest
    program = house.answering("1", "yes")
    wanted = await in_time(program.run(house.asking, digest[:8], Choice()))
    assert wanted is not None
    send(relay.account(), passkey, paired_with(keys, passkey), wanted.terms, house.rig.now_ms)
    assert relay.asked == ["statements"]  # it is asked for nothing that is shown or signed
    assert not any("Mallory" in one for one in house.said)
    (sealed,) = relay.sealed
    data = open_statement(unb64u(sealed), keys.sealing_private_key)
    statement = decode(Statement, decode(SignedStatement, data).statement.encode())
    assert statement.device == keys.device
    assert statement.terms == house.rig.terms()
    assert set(house.rig.terms().recipient.sealing_keys) == set(world.agreement.sealing_keys)


async def test_a_relay_that_answers_the_line_itself_is_not_believed(house: AskedHouse) -> None:
    def swapped(signed: SignedLive) -> SignedLive:
        answer = parse_unverified(LiveAnswer, signed)
        own = msgspec.structs.replace(
            answer, sdp=own_certificate(answer.sdp), answer_fingerprints=[OWN_FINGERPRINT]
        )
        return SignedLive(text=own.encode().decode(), signature=signed.signature)

    house.relay.bring = swapped
    digest = house.rig.world.signed_request.request_digest
    with pytest.raises(AnswerRefused):
        await in_time(house.answering("1", "yes").run(house.asking, digest[:8], Choice()))
    assert house.said == []


async def test_what_is_signed_names_the_text_that_was_shown(house: AskedHouse) -> None:
    """The digest is counted here: another text under a request's name is another request."""
    async with house.asking() as asking:
        (line,) = (await in_time(asking.requests())).requests
    shown = msgspec.structs.replace(
        line, request=line.request.replace(house.rig.world.request.text, "Only a bicycle.")
    )
    assert shown.request != line.request
    assert line.digest_of_request == house.rig.world.signed_request.request_digest
    terms = house.rig.terms(request_digest=shown.digest_of_request)
    await house.desk.on_statement(house.rig.seal(house.rig.sign(terms)))
    assert house.rig.notes()[-1].reason == "request_unknown"


async def test_what_another_doorbell_says_is_not_signed_for_this_one(
    tmp_path: Path, mallory: DeviceKeys
) -> None:
    """Somebody swapped the set-up: the line goes to a doorbell that says what it likes.

    Seen to show its request, and to ask for the passkey, with `check_same_doorbell` out.
    """
    async with home(tmp_path) as at:
        key = tmp_path / "passkey.json"
        await pair(at, key)
        at.connect_desk()
        kept = tmp_path / "doorward-view" / "doorbell.json"
        paired = decode(PairedDoorbell, kept.read_bytes())
        victim = msgspec.structs.replace(
            paired,
            device=mallory.device,
            identity_key=mallory.identity_key,
            sealing_key=mallory.sealing_key,
        )
        kept.write_bytes(victim.encode())
        digest = at.rig.world.signed_request.request_digest
        answer = (CLI, "answer", digest[:8], "--key-file", str(key))
        code, printed = await at.run(*answer, given="1\nyes\nlong and blue\n")
        assert (code, "watches another doorbell" in printed) == (1, True), printed
        assert at.rig.world.agreement.name not in printed


async def test_a_requests_text_cannot_look_like_the_programs_own_lines(house: AskedHouse) -> None:
    async with house.asking() as asking:
        (line,) = (await in_time(asking.requests())).requests
    evil = msgspec.structs.replace(line, agency=EVIL)
    request = msgspec.structs.replace(line.parsed(), text=EVIL, reason=EVIL, danger=EVIL)
    (clip,) = house.rig.terms().clips
    leaves = RequestedClip(
        from_ms=1, to_ms=2, is_whole=True, has_sound=False, time="trusted", problem=EVIL
    )
    asked = grant_asked(
        evil, request, [], has_audio=False, identity=IdentityGiven(), not_after_ms=1
    )
    given = GivenLine(
        statement_digest="d" * 64, request_digest="d" * 64, agency=EVIL, received_ms=1, stage="sent"
    )
    shown = [
        *asking_lines(asked, None),  # whatever form a request may have
        *request_lines(evil, None),
        *offered_lines([OfferedClip(clip=clip, leaves=leaves)], None),
        *given_lines([given], None),
    ]
    assert all(char.isprintable() for one in shown for char in one)
    assert not any(one.startswith("WHAT LEAVES") for one in shown)


# What came of it.


def note(keys: DeviceKeys, device: str, body: NoteBody, player: PlayerKeys) -> str:
    """Return a note that these keys signed, sealed to a player, as anybody could seal it."""
    text = OwnerNote(
        device=device, id=new_id(), told_ms=1, sealing_key=keys.sealing_key, body=body
    ).encode()
    signed = SignedNote(note=text.decode(), signature=b64u(keys.signer.sign(NOTE_TAG + text)))
    return b64u(seal_note(signed, unb64u(player.public.viewing_key)))


def heard(relay: LyingRelay, paired: PairedDoorbell, player: PlayerKeys, digest: str):
    """Wait for an answer for a while that takes no time."""
    answers = ReplyInbox(relay.account(), paired, player)
    answers.begin()
    return answers.wait_for(digest, patience=ManualPatience(), wait_s=5)


def test_a_relay_cannot_say_in_the_doorbells_name_what_came_of_it(
    tmp_path: Path, mallory: DeviceKeys
) -> None:
    """Seen to be believed with the signature's check out of `open_note`."""
    (tmp_path / "bell").mkdir()
    keys, player, relay = load_or_make_keys(tmp_path / "bell"), PlayerKeys.make("x"), LyingRelay()
    passkey = make_key_file(tmp_path / "passkey", name="Ada", passphrase="", site=SITE)
    paired, digest = paired_with(keys, passkey), "d" * 64
    done = StatementDone(statement_digest=digest, kind="decline")
    other = StatementDone(statement_digest="e" * 64, kind="decline")
    relay.notes = [
        "AAAA",
        note(mallory, keys.device, done, player),
        note(mallory, mallory.device, done, player),
        note(keys, mallory.device, done, player),
        note(keys, keys.device, other, player),
        note(keys, keys.device, done, PlayerKeys.make("y")),
    ]
    assert heard(relay, paired, player, digest) is None
    relay.notes.append(note(keys, keys.device, done, player))
    assert heard(relay, paired, player, digest) == done


def test_what_the_doorbell_says_of_its_page_is_only_shown(house: AskedHouse) -> None:
    answer: Answer = ConfirmationWanted(statement_digest="d" * 64, door_page="http://a\u202eb")
    said = outcome_text(ProposedStatement(terms=house.rig.terms(), life_ms=1), "d" * 64, answer)
    assert all(char.isprintable() or char == "\n" for char in said)


class Rude(BaseHTTPRequestHandler):
    """A relay whose refusals are for terminals, not for people."""

    def do_GET(self) -> None:
        body = json.dumps({"error": {"code": EVIL[:60], "message": EVIL}}).encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize(("program", "words"), [(doorward, ["owners"]), (doorward_view, ["check"])])
def test_a_refusal_of_the_relay_moves_no_cursor(
    program: Callable[[list[str]], int],
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`plain` in viewer/errors.py and in both programs."""
    device = load_or_make_keys(tmp_path / "doorbell")
    folder = Folder(tmp_path / "mine")
    folder.make_keys("Laptop")
    with ThreadingHTTPServer(("127.0.0.1", 0), Rude) as relay:
        thread = threading.Thread(target=relay.serve_forever)
        thread.start()
        setup = PlayerSetup(
            relay=f"http://127.0.0.1:{relay.server_port}",
            device=device.device,
            identity_key=device.identity_key,
            token="t" * 43,
        )
        folder.keep_setup(setup_text(setup))
        data = ["--data", str(tmp_path / "mine")]
        took = program([*words, *data] if program is doorward else [*data, *words])
        relay.shutdown()
        thread.join()
    said = capsys.readouterr()
    assert took == 1
    assert "Burglary" in said.err + said.out
    assert all(char.isprintable() or char == "\n" for char in said.err + said.out)
