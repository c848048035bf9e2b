"""A real doorbell process, and a relay that is entirely the attacker's.

    async with siege(folder) as here:   the doorbell is enrolled, paired and has one recording
        reply = await here.command(...)   whatever the relay likes to say
        signed = here.sign(terms)         what the owner's passkey signed (a page can have that)
        await here.carry(signed)

The attacker has the broker, the bucket, every HTTP answer, both logs' keys and the enrolment. What
they don't have: the witnesses, the owner's authenticator, the door. Everything that leaves the
doorbell is kept in `taken`, byte for byte.
"""

import asyncio
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nats.aio.msg import Msg

from firmware.protocol.claims import Claim, Enrolment, EnrolmentRequest
from firmware.protocol.commands import (
    Command,
    CommandBody,
    NewcomerAnswered,
    NewcomerCommitted,
    PairingRevealed,
    Receipt,
    RegisterGrew,
    Reply,
    ReplyBody,
    SealedStatement,
)
from firmware.protocol.encoding import b64u, decode, device_id_of, new_id, sha256_hex, unb64u
from firmware.protocol.events import (
    ClipReady,
    Event,
    EventBody,
    Note,
    PairingAnswered,
    Pressed,
    SlotCommitted,
)
from firmware.protocol.grants import (
    STATEMENT_TAG,
    ClipRange,
    GrantTerms,
    OwnerKeys,
    Recipient,
    SignedStatement,
    Statement,
    Terms,
    seal_statement,
)
from firmware.protocol.notes import NoteBody, open_note
from firmware.protocol.pairing import NONCE_BYTES, PairedKeys, PairingOffer, pairing_words
from firmware.protocol.passkeys import challenge
from firmware.protocol.requests import SignedRequest
from tests.fakes.broker import Broker
from tests.fakes.fleet_ca import FleetCa
from tests.fakes.log_town import CELL, EXAMPLE_DELAYS, MINUTE_MS, OTHER_CELL, Town, make_town
from tests.fakes.ports import free_port
from tests.fakes.waiting import eventually
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser
from tests.story.door import Door, qr_png

DOOR_NUMBER = "305817"
SLOT_MS = 2000
"""Several slots are waited for."""
MOST_SLOTS = 100
FIRMWARE = Path(sys.executable).parent / "doorward-firmware"
B = TypeVar("B", bound=EventBody)
Answer = tuple[int, bytes, dict[str, str]]
"""Status, body and headers."""


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Place:
    """An HTTP server of the attacker's; it keeps what it hears, and says 200 to everything."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, bytes]] = []
        self.taken: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://localhost:{self._server.server_port}"

    def bodies(self, method: str) -> list[bytes]:
        return [body for verb, _, body in self.heard if verb == method]

    def answer(self, path: str, body: bytes) -> Answer:
        """Say something; subclasses say more."""
        del path, body
        return 200, b"", {"ETag": '"taken"'}

    @contextmanager
    def open(self) -> Iterator[None]:
        place = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                place.heard.append((self.command, self.path, body))
                place.taken += [self.path.encode(), bytes(str(self.headers), "utf-8"), body]
                status, data, headers = place.answer(self.path, body)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(data)

            def do_POST(self) -> None:
                self.do_GET()

            def do_PUT(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class RelayPlace(Place):
    """Where the doorbell enrols, reads the logs, and would upload."""

    def __init__(self, ca: FleetCa, town: Town) -> None:
        super().__init__()
        self._ca = ca
        self.town: Town = town
        """Whose logs are served: put a lying one in its place."""
        self.broker_port = 0

    def answer(self, path: str, body: bytes) -> Answer:
        if path == "/enrol":
            return 201, self._enrol(decode(EnrolmentRequest, body)).encode(), {}
        if path.startswith("/log/"):
            data = self.town.file(path.removeprefix("/log/"))
            return (404, b"", {}) if data is None else (200, data, {})
        return super().answer(path, body)

    def _enrol(self, request: EnrolmentRequest) -> Enrolment:
        certificate = self._ca.sign_request(request.csr_pem)
        return Enrolment(
            device=_device_of(certificate),
            certificate_pem=certificate,
            evidence_certificate_pem=self._ca.sign_evidence(request.csr_pem),
            ca_pem=self._ca.pem,
            broker_host="localhost",
            broker_port=self.broker_port,
            bucket_origin=self.url,
            relay_url=self.url,
            log_url=f"{self.url}/log",
        )


class Siege:
    """One doorbell, and all around it."""

    def __init__(self, folder: Path, town: Town) -> None:
        self.folder, self.town = folder, town
        self.card = folder / "card"
        self.ca = FleetCa()
        self.relay = RelayPlace(self.ca, town)
        self.elsewhere = Place()
        self.owner = SoftPasskey.create(rp_id="owner.test", origin="https://owner.test")
        self.browser = SoftBrowser.create("Ada's phone")
        self.events: list[Event] = []
        self.replies: dict[str, ReplyBody] = {}
        self.messages: list[bytes] = []
        self.gives_receipts = True
        self.device = ""
        self.words: tuple[list[str], list[str]] = ([], [])
        """What the door showed, and what the owner's app said of keys that the relay swapped."""
        door_port = free_port()
        self.door_url = f"http://localhost:{door_port}"
        self.door = Door(self.door_url, self.card / "control.sock")
        self._door_port = door_port

    @property
    def taken(self) -> list[bytes]:
        """Everything that left the doorbell."""
        return [*self.messages, *self.relay.taken, *self.elsewhere.taken]

    def told(self, kind: type[B]) -> list[B]:
        return [event.body for event in self.events if isinstance(event.body, kind)]

    def notes(self) -> list[NoteBody]:
        """Return what the doorbell told the owner, opened with the owner's own key."""
        sealed = [*self.told(Note), *(n for slot in self.told(SlotCommitted) for n in slot.notes)]
        key = self.browser.viewing_private_key
        return [
            open_note(unb64u(note.sealed), key, self.identity_key).body
            for note in sealed
            if note.browser == self.browser.keys.id
        ]

    # --- what the relay says ---

    async def paired(self, keys: PairedKeys) -> str:
        """Exchange a newcomer's three messages with the doorbell; return the commitment."""
        offer = PairingOffer(keys, pairing_id=new_id(), nonce=secrets.token_bytes(NONCE_BYTES))
        code = offer.code
        reply = await self.command(
            NewcomerCommitted(pairing_id=code.pairing_id, commitment=code.commitment)
        )
        assert isinstance(reply, NewcomerAnswered), reply
        text = offer.take_answer(reply.signed).reveal.encode().decode()
        await self.command(PairingRevealed(pairing_id=code.pairing_id, reveal=text))
        return code.commitment

    async def command(
        self,
        body: CommandBody,
        *,
        command_id: str | None = None,
        life_ms: int = 60_000,
        wait_s: float = 60.0,
    ) -> ReplyBody | None:
        """Send a command; return the doorbell's answer, None if there is none so long.

        The doorbell answers in the order in which it is asked: on a busy machine it may still be
        at what was said before. Who expects no answer says how long to wait for it.
        """
        now_ms = wall_ms()
        command = Command(
            id=command_id or new_id(),
            device=self.device,
            time_ms=now_ms,
            expires_ms=now_ms + life_ms,
            body=body,
        )
        self.replies.pop(command.id, None)
        await self.say(command.encode())
        with suppress(AssertionError):
            await eventually(lambda: command.id in self.replies, wait_s)
        return self.replies.get(command.id)

    async def say(self, payload: bytes) -> None:
        """Send any bytes as a command."""
        await self.nats.publish(f"dw.{self.device}.command", payload)

    async def carry(self, signed: SignedStatement) -> ReplyBody | None:
        """Bring a statement to the doorbell, sealed as an owner's app does."""
        sealed = seal_statement(signed, unb64u(self.sealing_key))
        return await self.command(SealedStatement(sealed=b64u(sealed)))

    # --- what the owner signs ---

    def sign(
        self, terms: Terms, *, by: SoftPasskey | None = None, **changes: object
    ) -> SignedStatement:
        """Return a statement that is right but for `changes`."""
        fields = {
            "device": self.device,
            "nonce": new_id(),
            "not_after_ms": wall_ms() + 60 * MINUTE_MS,
            "terms": terms,
        }
        text = Statement(**(fields | changes)).encode()
        assertion = (by or self.owner).sign(challenge(STATEMENT_TAG, text))
        return SignedStatement(statement=text.decode(), assertion=assertion)

    def grant(self, request: SignedRequest, **changes: object) -> GrantTerms:
        """Return the grant of the one recording to a request."""
        clip = self.clip
        fields = {
            "request_digest": request.request_digest,
            "clips": [
                ClipRange(
                    clip_id=clip.clip_id,
                    manifest_digest=clip.manifest_digest,
                    from_ms=clip.started_ms,
                    to_ms=clip.started_ms + clip.duration_ms,
                )
            ],
            "has_audio": False,
            "recipient": Recipient(
                agency=self.town.agreement.agency, sealing_keys=self.town.agreement.sealing_keys
            ),
        }
        return GrantTerms(**(fields | changes))

    async def waiting(self) -> list[str]:
        """Return the digests that the doorbell's own page asks about."""
        await self.door.unlock(DOOR_NUMBER)
        return [one["digest"] for one in (await self.door.page.get("/confirm"))["waiting"]]

    # --- the town ---

    def pass_time(self) -> None:
        """Let the town's witnesses sign as of now."""
        self.town.wind(ms=max(0, wall_ms() - self.town.now_ms))

    async def publish(self, **changes: object) -> SignedRequest:
        """Publish a request for the time of the recording, and wait until the doorbell read it."""
        self.pass_time()
        now_ms = self.town.now_ms
        fields = {
            "from_ms": now_ms - 30 * MINUTE_MS,
            "to_ms": now_ms,
            "created_ms": now_ms,
            "expires_ms": now_ms + 24 * 60 * MINUTE_MS,
        }
        signed = self.town.publish(**(fields | changes))
        await self.let_read()
        return signed

    async def let_read(self) -> None:
        """Say that the register grew, and wait until the doorbell has read what is served."""
        before = self.reads
        await self.grew()
        await eventually(lambda: self.reads > before)
        await asyncio.sleep(0.5)

    async def grew(self) -> None:
        """Say that the register grew."""
        await self.command(RegisterGrew(size=self.town.register_log.size + 1_000))

    @property
    def reads(self) -> int:
        """How often the doorbell has asked for the register's checkpoint."""
        return sum(path == "/log/register/checkpoint" for _, path, _ in self.relay.heard)

    # --- alive? ---

    async def is_alive(self) -> bool:
        """Ring, and tell whether the relay hears of it."""
        before = len(self.told(Pressed))
        for _ in range(200):  # the bell rings once for presses that follow each other at once
            await self.door.ring()
            with suppress(AssertionError):
                await eventually(lambda: len(self.told(Pressed)) > before, 0.3)
                return True
        return False

    # --- putting up ---

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        certificate, key = self.ca.write_server(self.folder)
        ca_file = self.folder / "fleet-ca.pem"
        ca_file.write_text(self.ca.pem)
        broker = Broker(self.folder, ca=ca_file, certificate=certificate, key=key)
        self.relay.broker_port = broker.mqtt_port
        with self.relay.open(), self.elsewhere.open():
            await broker.start()
            self.nats = await broker.client()
            await self.nats.subscribe("dw.>", cb=self._on_message)
            await self.nats.flush()
            process = self._start()
            try:
                await eventually(lambda: _listens(self._door_port) or process.poll())
                await self.door.wait_until_online(30)
                await self._pair()
                await self._record()
                yield
            finally:
                await asyncio.to_thread(_end, process)
                await self.door.close()
                await self.nats.close()
                broker.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        self.card.mkdir()
        claim = Claim(
            relay_url=self.relay.url,
            secret=b64u(os.urandom(32)),
            ca_sha256=self.ca.sha256,
            expires_ms=wall_ms() + 3_600_000,
        )
        (self.card / "claim.json").write_bytes(claim.encode())
        (self.card / "policy.txt").write_bytes(self.town.policy_text)
        config = self.card / "doorbell.toml"
        config.write_text(
            f"""\
[camera]
kind = "replay"
file = "{self.folder / "canary.mp4"}"

[panel]
pins = "mock"

[clips]
pre_roll_s = 2
post_roll_s = 2

[door]
listen_port = {self._door_port}
url = "{self.door_url}"

[clock]
is_host_time_trusted = true

[log]
policy = "policy.txt"

[place]
cell = "{CELL}"
is_opted_in = true
"""
        )
        with (self.folder / "doorbell.log").open("wb") as log:
            return subprocess.Popen(
                [FIRMWARE, "--config", config, "run"],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def _pair(self) -> None:
        owner = OwnerKeys(name="Ada", passkey=self.owner.key, browser=self.browser.keys)
        offer = PairingOffer(owner, pairing_id=new_id(), nonce=secrets.token_bytes(NONCE_BYTES))
        await self.door.hold_service_button()
        await self.door.wait_until_pairing_is("open", timeout_s=10)
        await self.door.show(qr_png(offer.code.text), 20)
        await eventually(lambda: self.told(PairingAnswered))
        (answered,) = self.told(PairingAnswered)
        found = offer.take_answer(answered.signed)
        self.identity_key = unb64u(found.answer.identity_key)
        self.sealing_key = found.answer.sealing_key
        text = found.reveal.encode().decode()
        await self.command(PairingRevealed(pairing_id=offer.code.pairing_id, reveal=text))
        shown = await self.door.wait_until_pairing_is("words", timeout_s=20)
        swapped = msgspec.structs.replace(
            found.answer, sealing_key=SoftBrowser.create("relay").keys.viewing_key
        )
        other = msgspec.structs.replace(answered.signed, answer=swapped.encode().decode())
        self.words = (list(shown["words"]), list(pairing_words(other, found.reveal)))
        await self.door.press_service_button()
        await self.door.wait_until_pairing_is("pressed", timeout_s=10)
        await self.door.choose_number(DOOR_NUMBER)
        await self.door.wait_until_pairing_is("paired", timeout_s=10)

    async def _record(self) -> None:
        await asyncio.sleep(3)  # a full ring
        answered = len(self.told(SlotCommitted))
        await self.door.ring()
        await eventually(lambda: self.told(ClipReady))
        self.clip = self.told(ClipReady)[0]
        while not self._is_bound(self.clip.clip_id):  # honestly, this once
            assert answered < MOST_SLOTS, "no slot committed to the recording"
            await eventually(partial(self._has_told_slots, answered + 1))
            slot = self.told(SlotCommitted)[answered]
            self.pass_time()
            await self.command(self.town.log_slot(slot.slot, [slot.commitment])[slot.commitment])
            answered += 1

    def _has_told_slots(self, count: int) -> bool:
        return len(self.told(SlotCommitted)) >= count

    def _is_bound(self, clip_id: str) -> bool:
        """Look on the card: is there a slot that commits to this clip, and that was logged?

        A slot may commit to a clip before it is told, and one that is late isn't told.
        """
        with closing(sqlite3.connect(f"file:{self.card}/library.sqlite3?mode=ro", uri=True)) as db:
            found = db.execute(
                "SELECT 1 FROM slot_clips JOIN slots USING (slot)"
                " WHERE clip_id = ? AND logged_json IS NOT NULL",
                (clip_id,),
            )
            return found.fetchone() is not None

    async def _on_message(self, message: Msg) -> None:
        self.messages.append(message.subject.encode() + b" " + message.data)
        kind = message.subject.rpartition(".")[2]
        if kind == "event":
            event = decode(Event, message.data, max_bytes=200_000)
            self.device = event.device
            if event.id not in {known.id for known in self.events}:
                self.events.append(event)
            if self.gives_receipts:
                await self._give_receipt(event)
        elif kind == "reply":
            reply = decode(Reply, message.data, max_bytes=200_000)
            self.replies[reply.in_reply_to] = reply.body

    async def _give_receipt(self, event: Event) -> None:
        receipt = Command(
            id=new_id(),
            device=event.device,
            time_ms=wall_ms(),
            expires_ms=wall_ms() + 60_000,
            body=Receipt(event_ids=[event.id]),
        )
        await self.say(receipt.encode())


@asynccontextmanager
async def siege(folder: Path) -> AsyncIterator[Siege]:
    """Start it all; the folder has a `canary.mp4` for the camera."""
    delays = msgspec.structs.replace(EXAMPLE_DELAYS, slot_ms=SLOT_MS)
    town = make_town(kind="example", now_ms=wall_ms(), delays=delays, cells=(CELL, OTHER_CELL))
    here = Siege(folder, town)
    async with here.running():
        yield here


def digest_of(signed: SignedStatement) -> str:
    """Return what the door asks about."""
    return sha256_hex(signed.statement.encode())


def _device_of(certificate_pem: str) -> str:
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return device_id_of(spki)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
