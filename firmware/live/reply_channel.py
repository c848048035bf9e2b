"""The data channel "replies": the list of quick replies, and the owner's changes to it.

The viewer sends JSON texts of at most 4 KB, each with a `type`:
{"type": "list"}                                  → {"type": "replies", …}
{"type": "add_recording", "name", "size"}         → {"type": "received", "bytes": 0}, then takes
                                                    binary chunks of at most 16 KiB, each answered
                                                    by {"type": "received", "bytes"}: a WAV file
{"type": "add_text", "name", "text", "language"}
{"type": "remove", "id"}
{"type": "default", "id": id or null}             what is said when nobody answers
Each change is answered by the whole list: {"type": "replies", "replies": [{"id", "name", "kind",
"text", "language"}], "default": id or null, "after_s", "most"}, or by {"type": "error", "reason",
"detail"}. One thing at a time, in order; a recording that doesn't go on is given up. What a reply
may be is decided in firmware/sound/quick_replies.py. No aiortc here.
"""

import asyncio
from typing import Annotated, Literal, Protocol

import msgspec

from firmware.live.data_channel import parse_text
from firmware.live.errors import LiveError
from firmware.live.wish_channel import WishChannel
from firmware.protocol.encoding import Document, Id, WireError
from firmware.sound.errors import ReplyUnknown, SoundError, SoundMissing, SpeechFailed
from firmware.sound.quick_replies import MAX_NAME_CHARS, MAX_REPLIES, QuickReplies
from firmware.sound.sounds import MAX_WAV_BYTES
from firmware.sound.speech import MAX_TEXT_CHARS, Language

REPLIES_LABEL = "replies"
CHUNK_BYTES = 16 * 1024
CHUNK_S = 10.0
WISH_S = 20.0

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS)]
Size = Annotated[int, msgspec.Meta(ge=1, le=MAX_WAV_BYTES)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_CHARS)]


class ListWanted(Document, frozen=True, kw_only=True, tag="list", tag_field="type"):
    """List the quick replies."""


class AddRecording(Document, frozen=True, kw_only=True, tag="add_recording", tag_field="type"):
    """Add a recording: a WAV file of this size follows."""

    name: Name
    size: Size


class AddText(Document, frozen=True, kw_only=True, tag="add_text", tag_field="type"):
    """Add a text, which is spoken by speech synthesis."""

    name: Name
    text: Text
    language: Language


class Remove(Document, frozen=True, kw_only=True, tag="remove", tag_field="type"):
    """Remove a quick reply."""

    id: Id


class SetDefault(Document, frozen=True, kw_only=True, tag="default", tag_field="type"):
    """Choose the reply that is played when nobody answers."""

    id: Id | None


Wish = ListWanted | AddRecording | AddText | Remove | SetDefault
_DECODER: msgspec.json.Decoder[Wish] = msgspec.json.Decoder(Wish)


class RepliesToKeep(Protocol):
    """The quick replies' part of `firmware.live.voice.LiveSound`."""

    @property
    def replies(self) -> QuickReplies:
        """The owner's quick replies."""
        ...

    @property
    def reply_after_s(self) -> float:
        """Seconds from a press until the default reply is played; 0: never."""
        ...


def parse_wish(message: str | bytes) -> Wish:
    """Parse one text of the viewer, or raise WireError."""
    if not isinstance(message, str):
        raise WireError("announce a recording first")
    return parse_text(_DECODER, message, what="message about replies")


class ReplyChannel(WishChannel[Wish]):
    """Shows one viewer the quick replies, and changes them."""

    def __init__(self, sound: RepliesToKeep | None, *, chunk_s: float = CHUNK_S) -> None:
        super().__init__()
        self._sound = sound
        self._chunk_s = chunk_s

    def _parse(self, message: str | bytes) -> Wish:
        return parse_wish(message)

    async def _grant(self, wish: Wish) -> None:
        sound = self._sound
        if sound is None:
            raise LiveError("no_sound", "this doorbell has no sound; see [sound] in its settings")
        try:
            match wish:
                case AddRecording():
                    await sound.replies.add_recording(wish.name, await self._received(wish.size))
                case AddText():
                    async with asyncio.timeout(WISH_S):
                        await sound.replies.add_text(wish.name, wish.text, wish.language)
                case Remove():
                    await sound.replies.remove(wish.id)
                case SetDefault():
                    await sound.replies.set_default(wish.id)
        except SoundError as error:
            raise LiveError(_reason(error), str(error)) from error
        except TimeoutError:  # is an OSError, but not of storage
            raise
        except OSError as error:
            detail = "the doorbell's memory card doesn't take it; try again, and look at its health"
            raise LiveError("card", detail) from error
        self._say_replies(sound)

    async def _received(self, size: int) -> bytes:
        """Return the recording that follows, or raise."""
        data = bytearray()
        while len(data) < size:
            self._end.send_json({"type": "received", "bytes": len(data)})
            async with asyncio.timeout(self._chunk_s):
                chunk = await self._end.next()
            if not isinstance(chunk, bytes) or not 0 < len(chunk) <= CHUNK_BYTES:
                raise WireError(f"expected 1 to {CHUNK_BYTES} bytes of the recording; begin anew")
            data += chunk
            if len(data) > size:
                raise WireError("more of the recording than was announced; begin anew")
        return bytes(data)

    def _say_replies(self, sound: RepliesToKeep) -> None:
        replies = sound.replies
        default = replies.default
        self._end.send_json(
            {
                "type": "replies",
                "replies": [
                    {
                        "id": one.id,
                        "name": one.name,
                        "kind": one.kind,
                        "text": one.text,
                        "language": one.language,
                    }
                    for one in replies.replies
                ],
                "default": None if default is None else default.id,
                "after_s": round(sound.reply_after_s),
                "most": MAX_REPLIES,
            }
        )


def _reason(
    error: SoundError,
) -> Literal["no_reply", "no_speech", "speech_failed", "reply_refused"]:
    match error:
        case ReplyUnknown():
            return "no_reply"
        case SoundMissing():
            return "no_speech"
        case SpeechFailed():
            return "speech_failed"
        case _:
            return "reply_refused"
