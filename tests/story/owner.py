"""An owner, with a passkey, a key for notes and the owner's app; and a newcomer who joins them.

What they keep is in one file (mode 0600), so that a second start of the story finds them again.
"""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from firmware.protocol.encoding import b64u, new_id, sha256_hex, unb64u
from firmware.protocol.grants import (
    STATEMENT_TAG,
    AddOwner,
    ClipRange,
    GrantTerms,
    OwnerKeys,
    Recipient,
    SignedStatement,
    Statement,
    Terms,
    seal_statement,
)
from firmware.protocol.live import LiveOffer, SignedLive, check_answer
from firmware.protocol.notes import NoteBody, RequestsMatched, StatementRefused, open_note
from firmware.protocol.pairing import (
    NONCE_BYTES,
    PairingOffer,
    SignedPairingAnswer,
    parse_reveal,
)
from firmware.protocol.passkeys import challenge
from tests.story.api import SLOWER, Api, Inbox, Json, Message, ask_until
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser
from tests.story.door import Door, qr_png
from tests.story.settings import StoryError
from tests.story.viewer import Viewing, watch

API = "/api/v1"
STATEMENT_LIFE_MS = 3600 * 1000
QR_SHOWN_S = 20.0
N = TypeVar("N", bound=NoteBody)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorbellKeys:
    """The doorbell's public keys, as its four words named them; base64url."""

    device: str
    identity_key: str
    sealing_key: str


class Owner:
    """One person with the owner's app open."""

    def __init__(
        self,
        relay_url: str,
        app_url: str,
        keys_file: Path,
        name: str,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._now_ms = now_ms
        self.name = name
        self.api = Api(relay_url, origin=app_url)
        self.inbox = Inbox()
        self.doorbell: DoorbellKeys | None = None
        self._file = keys_file
        self._passkey = SoftPasskey.create(rp_id="localhost", origin=app_url)
        self.browser = SoftBrowser.create(f"{name}'s phone")
        if keys_file.exists():
            self._load()

    @property
    def keys(self) -> OwnerKeys:
        """This owner's public keys."""
        return OwnerKeys(
            name=self.name,
            passkey=self._passkey.key,
            browser=self.browser.keys,
        )

    async def register(self, invitation: str) -> None:
        """Use an invitation to get an account with this passkey."""
        begun = await self.api.post(
            f"{API}/owner/register/options", {"invitation": invitation, "name": self.name}
        )
        await self._sign_in("register", begun["session"], self._passkey.register(begun["options"]))
        self._save()

    async def log_in(self) -> None:
        """Sign in with the passkey."""
        begun = await self.api.post(f"{API}/owner/login/options")
        await self._sign_in("login", begun["session"], self._passkey.log_in(begun["options"]))

    async def pair(self, door: Door, door_number: str) -> list[str]:
        """Pair with a doorbell that has no owner: code, answer, reveal, words, button, number."""
        offer = PairingOffer(self.keys, pairing_id=new_id(), nonce=secrets.token_bytes(NONCE_BYTES))
        pairing_id = offer.code.pairing_id
        await self.api.post(f"{API}/pairings", {"pairing_id": pairing_id})
        await door.hold_service_button()
        await door.wait_until_pairing_is("open", timeout_s=10.0)
        async with door.showing(qr_png(offer.code.text), QR_SHOWN_S):
            told = await self._wait_for_pairing(pairing_id, "answered", timeout_s=QR_SHOWN_S)
        answered = offer.take_answer(msgspec.convert(told["answers"][0], SignedPairingAnswer))
        reveal = {"reveal": answered.reveal.encode().decode()}
        await self.api.post(f"{API}/pairings/{pairing_id}/reveal", reveal)
        shown = await door.wait_until_pairing_is("words", timeout_s=10.0)
        words = list(answered.words)
        if words != list(shown["words"]):
            raise StoryError(f"the app wants {words}, the doorbell says {shown['words']}")
        await door.press_service_button()
        await door.wait_until_pairing_is("pressed", timeout_s=10.0)
        await door.choose_number(door_number)
        await self._wait_for_pairing(pairing_id, "paired")
        self.doorbell = DoorbellKeys(
            device=answered.answer.device,
            identity_key=answered.answer.identity_key,
            sealing_key=answered.answer.sealing_key,
        )
        self._save()
        return words

    async def last_seq(self) -> int:
        """Return the newest sequence number that the relay has of the doorbell's events."""
        events = (await self.api.get(f"{API}/events?limit=1"))["events"]
        return int(events[0]["event"]["seq"]) if events else 0

    async def all_events(self) -> list[Json]:
        """Return every event that the relay shows this owner, in the order of its arrival."""
        told: list[Json] = []
        query = f"{API}/events?limit=100"
        while page := (await self.api.get(query))["events"]:
            told += page
            query = f"{API}/events?limit=100&before_seq={page[-1]['relay_seq']}"
        return [one["event"] for one in reversed(told)]

    async def missed(self) -> list[Json]:
        """Return the newest events, and the notes for this browser, as the stream has them."""
        events = (await self.api.get(f"{API}/events?limit=50"))["events"]
        notes = (await self.api.get(f"{API}/notes?browser={self.browser.keys.id}"))["events"]
        return sorted([*events, *notes], key=lambda one: int(one["relay_seq"]))

    async def wait_for_event(self, kind: str, *, after_seq: int, timeout_s: float) -> Message:
        """Return the next event of this kind whose sequence number is above `after_seq`."""

        def pick(message: Message) -> Message | None:
            event = message.data.get("event")
            if event and event["body"]["type"] == kind and event["seq"] > after_seq:
                return message
            return None

        return await self.inbox.wait_for(f"event {kind}", pick, timeout_s=timeout_s)

    async def wait_for_clip(self, event_id: str, timeout_s: float) -> Json:
        """Return what is told of the first recording that this event set off, or lies in."""

        def pick(message: Message) -> Json | None:
            body: Json = message.data.get("event", {}).get("body", {})
            return body if event_id in triggers_of(body) else None

        return await self.inbox.wait_for("the recording", pick, timeout_s=timeout_s)

    async def wait_for_note(
        self, kind: type[N], about: str, timeout_s: float, *, slower: float = SLOWER
    ) -> N:
        """Return the sealed note of this kind that names `about` (a digest or an id)."""

        def pick(message: Message) -> N | None:
            event = message.data.get("event")
            if event is None or event["body"]["type"] != "note":
                return None
            body = event["body"]
            if body["browser"] != self.browser.keys.id:
                return None
            note = self._opened(body["sealed"])
            if about not in _subjects_of(note):
                return None
            if isinstance(note, StatementRefused):
                raise StoryError(f"the doorbell refused: {note.reason}: {note.detail}")
            return note if isinstance(note, kind) else None

        what = f"the note {kind.__name__}"
        return await self.inbox.wait_for(what, pick, timeout_s=timeout_s, slower=slower)

    def _opened(self, sealed: str) -> NoteBody:
        key, spki = self.browser.viewing_private_key, unb64u(self._paired().identity_key)
        return open_note(unb64u(sealed), key, spki).body

    async def sign_grant(self, request: Json, clips: list[Json]) -> str:
        """Grant these clips (bodies of clip_ready events) to a request; return the digest."""
        agency = request["agency"]
        terms = GrantTerms(
            request_digest=sha256_hex(request["signed"]["request"].encode()),
            clips=[
                ClipRange(
                    clip_id=clip["clip_id"],
                    manifest_digest=clip["manifest_digest"],
                    from_ms=clip["started_ms"],
                    to_ms=clip["started_ms"] + clip["duration_ms"],
                )
                for clip in clips
            ],
            has_audio=False,
            recipient=Recipient(agency=agency["id"], sealing_keys=agency["sealing_keys"]),
        )
        return await self._send_statement(terms)

    async def decide(self, terms: Terms) -> str:
        """Sign any other decision, and hand it to the relay sealed; return its digest."""
        return await self._send_statement(terms)

    async def packages(self) -> dict[str, str]:
        """Return the state of each evidence package of the own doorbells, by id."""
        packages = (await self.api.get(f"{API}/packages"))["packages"]
        return {told["package_id"]: told["state"] for told in packages}

    async def sign_in_newcomer(self, join: Json) -> str:
        """Sign that a newcomer may be an owner too; return the statement's digest."""
        reveal = parse_reveal(join["reveal"])
        terms = AddOwner(
            pairing_id=reveal.pairing_id, owner=reveal.owner, commitment=reveal.code.commitment
        )
        return await self._send_statement(terms)

    async def watch_live(self, *, frame_count: int, reply: str | None = None) -> Viewing:
        """Watch live view until so many frames are decoded; let the doorbell keep a quick reply."""
        session_id = new_id()
        base = f"{API}/doorbells/{self._paired().device}"

        async def send_offer(sdp: str) -> str:
            offer = LiveOffer(
                device=self._paired().device,
                session_id=session_id,
                nonce=str((await self.api.post(f"{base}/nonce"))["nonce"]),
                browser=self.browser.keys.id,
                purpose="live",
                sdp=sdp,
            )
            told = await self.api.post(
                f"{base}/offer",
                {
                    "session_id": session_id,
                    "signed": msgspec.to_builtins(self.browser.sign(offer)),
                },
            )
            answer = check_answer(
                msgspec.convert(told["signed"], SignedLive),
                unb64u(self._paired().identity_key),
                offer=offer,
                now_ms=self._now_ms(),
            )
            return answer.sdp

        viewing = await watch(send_offer, frame_count=frame_count, reply=reply)
        await self.api.delete(f"{base}/sessions/{session_id}")
        return viewing

    async def close(self) -> None:
        """Close all connections."""
        await self.api.close()

    def _paired(self) -> DoorbellKeys:
        if self.doorbell is None:
            raise StoryError(f"{self.name} is paired with no doorbell")
        return self.doorbell

    async def _sign_in(self, way: str, session: str, credential: Json) -> None:
        body = {"session": session, "credential": credential}
        signed_in = await self.api.post(f"{API}/owner/{way}/verify", body)
        self.api.http.headers["Authorization"] = f"Bearer {signed_in['token']}"

    async def _wait_for_pairing(self, pairing_id: str, state: str, timeout_s: float = 15.0) -> Json:
        return await ask_until(
            f"the pairing is {state}",
            lambda: self.api.get(f"{API}/pairings/{pairing_id}"),
            lambda said: bool(said["state"] == state),
            timeout_s=timeout_s,
        )

    async def _send_statement(self, terms: Terms) -> str:
        doorbell = self._paired()
        text = Statement(
            device=doorbell.device,
            nonce=new_id(),
            not_after_ms=self._now_ms() + STATEMENT_LIFE_MS,
            terms=terms,
        ).encode()
        signed = SignedStatement(
            statement=text.decode(),
            assertion=self._passkey.sign(challenge(STATEMENT_TAG, text)),
        )
        sealed = seal_statement(signed, unb64u(doorbell.sealing_key))
        await self.api.post(
            f"{API}/doorbells/{doorbell.device}/statements", {"sealed": b64u(sealed)}
        )
        return sha256_hex(text)

    def _save(self) -> None:
        doorbell = self.doorbell
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.touch(mode=0o600)
        kept = {
            "passkey": self._passkey.save(),
            "browser": self.browser.save(),
            "doorbell": None
            if doorbell is None
            else {
                "device": doorbell.device,
                "identity_key": doorbell.identity_key,
                "sealing_key": doorbell.sealing_key,
            },
        }
        self._file.write_text(json.dumps(kept, indent=1) + "\n")

    def _load(self) -> None:
        kept = json.loads(self._file.read_text())
        self._passkey = SoftPasskey.load(kept["passkey"])
        self.browser = SoftBrowser.load(kept["browser"])
        self.doorbell = DoorbellKeys(**kept["doorbell"]) if kept["doorbell"] else None


def triggers_of(body: Json) -> list[str]:
    """Return the ids of the events that set a told recording off; none if it is no recording."""
    if body.get("type") != "clip_ready":
        return []
    return [body["trigger_event_id"], *body["more_trigger_ids"]]


def _subjects_of(note: NoteBody) -> list[str]:
    """Return the requests' ids or the statement's digest that a note is about."""
    if isinstance(note, RequestsMatched):
        return [request.request_id for request in note.requests]
    return [getattr(note, "statement_digest", "")]
