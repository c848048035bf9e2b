"""The data channel "control": a viewer's requests, and the state of the session.

JSON texts of at most 4 KB, one document a message, each with a `type`. The viewer may send the
wishes below; the doorbell says `state` (the whole state, on each change), `replies` and `error`.
Parsing and telling only: a wish is carried out by session.py.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, Protocol

import msgspec

from firmware.live.data_channel import parse_text
from firmware.live.wish_channel import WishChannel
from firmware.protocol.encoding import Document, Id
from firmware.sound.quick_replies import QuickReply
from firmware.sound.talk_floor import Manner

logger = logging.getLogger(__name__)

CONTROL_LABEL = "control"
WISH_S = 10.0

Stream = Literal["main", "small", "key_frames", "clip", "none"]
Microphone = Literal["off", "on", "none"]


class Renew(Document, frozen=True, kw_only=True, tag="renew", tag_field="type"):
    """Prolong the session: the viewer is still there."""


class Quality(Document, frozen=True, kw_only=True, tag="quality", tag_field="type"):
    """Choose the stream by the link's estimate, or always the small one."""

    want: Literal["auto", "small"]


class Talk(Document, frozen=True, kw_only=True, tag="talk", tag_field="type"):
    """Play this viewer's voice at the door; on an open line, they hear the door meanwhile."""

    is_on: bool
    is_open_line: bool


class Listen(Document, frozen=True, kw_only=True, tag="listen", tag_field="type"):
    """Send the door's microphone to this viewer."""

    is_on: bool


class Reply(Document, frozen=True, kw_only=True, tag="reply", tag_field="type"):
    """Play a quick reply at the door."""

    id: Id


class RepliesWanted(Document, frozen=True, kw_only=True, tag="replies", tag_field="type"):
    """List the quick replies."""


class SwitchMicrophone(Document, frozen=True, kw_only=True, tag="microphone", tag_field="type"):
    """Switch the door's microphone off, for everybody; on is refused."""

    is_on: bool


Wish = Renew | Quality | Talk | Listen | Reply | RepliesWanted | SwitchMicrophone
_DECODER: msgspec.json.Decoder[Wish] = msgspec.json.Decoder(Wish)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatcherLine:
    """One entry of the list of watchers."""

    name: str
    browser: str
    since_ms: int
    is_you: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The session's state for one viewer; `why` is the reason if the stream isn't the main one."""

    ends_in_s: int
    stream: Stream
    why: str | None
    microphone: Microphone
    talk: Manner
    talker: str | None
    watching: tuple[WatcherLine, ...]


def parse_wish(message: str | bytes) -> Wish:
    """Parse one message of the viewer, or raise WireError."""
    return parse_text(_DECODER, message, what="control message")


class WishGranter(Protocol):
    """Carries out a viewer's requests (`firmware.live.session.LiveSession`)."""

    async def grant(self, wish: Wish) -> None:
        """Do it, or raise LiveError."""
        ...


class ControlChannel(WishChannel[Wish]):
    """Receives one viewer's requests of the session, and sends its state."""

    def __init__(self, granter: WishGranter) -> None:
        super().__init__()
        self._granter = granter
        self._said: State | None = None

    def send_state(self, state: State) -> None:
        """Send the state if it changed by more than passing time and the channel isn't full."""
        if not self._end.is_open or self._end.is_flooded:
            return
        known = self._said and replace(self._said, ends_in_s=state.ends_in_s)
        if known != state:
            self._said = state
            self._end.send_json({"type": "state", **asdict(state)})

    def forget_state(self) -> None:
        """Send the state again next time, because more time is left than the peer knows."""
        self._said = None

    def send_replies(self, replies: Sequence[QuickReply]) -> None:
        """List the quick replies."""
        listed = [{"id": one.id, "name": one.name, "kind": one.kind} for one in replies]
        self._end.send_json({"type": "replies", "replies": listed})

    def _parse(self, message: str | bytes) -> Wish:
        return parse_wish(message)

    async def _grant(self, wish: Wish) -> None:
        async with asyncio.timeout(WISH_S):
            await self._granter.grant(wish)
