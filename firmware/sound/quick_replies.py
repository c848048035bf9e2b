"""Quick replies: the owner's recorded or spoken replies, played at the door.

Each is a recording of the owner's own (up to 5 s) or a text that is spoken. They lie in a folder:
`replies.json` names them, in the owner's order, and a recording's sound is a WAV file named by
its id. They are there to be heard by anybody at the door, so they are not sealed. The index is
written last when one comes and first when one goes, so a power cut leaves at most a file that
nobody names; such are removed at start. An index that can't be read names none: the doorbell rings
without quick replies.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from firmware.protocol.encoding import Document, Id, WireError, decode, new_id
from firmware.sound.errors import ReplyRefused, ReplyUnknown, SoundError
from firmware.sound.sounds import MAX_WAV_BYTES, Sound, parse_wav
from firmware.sound.speaker import Speaker
from firmware.sound.speech import MAX_TEXT_CHARS, Language, Speech
from firmware.system.durable_files import write_atomic
from firmware.system.listeners import Listeners

log = logging.getLogger(__name__)

MAX_REPLIES = 8
MAX_NAME_CHARS = 40
INDEX_FILE = "replies.json"

Name = Annotated[
    str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS, pattern=r"^[^\x00-\x1f\x7f]*\Z")
]
ReplyKind = Literal["recording", "speech"]


class QuickReply(Document, frozen=True, kw_only=True):
    """One quick reply; `text` is that of a spoken one."""

    id: Id
    name: Name
    kind: ReplyKind
    text: Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS)] = ""
    language: Language = "en"


class RepliesFile(Document, frozen=True, kw_only=True):
    """The content of replies.json. `default` is played when nobody answers."""

    v: Literal[1] = 1
    replies: Annotated[tuple[QuickReply, ...], msgspec.Meta(max_length=MAX_REPLIES)] = ()
    default: Id | None = None


class QuickReplies:
    """The owner's quick replies, durable. All on the loop, except for storage writes.

    `played` is notified when one begins.
    """

    def __init__(self, folder: Path, *, speaker: Speaker, speech: Speech) -> None:
        self._folder = folder
        self._speaker = speaker
        self._speech = speech
        self.played = Listeners[()]()
        self._file = self._load()
        self._changing = asyncio.Lock()
        self._playing: asyncio.Task[None] | None = None

    @property
    def replies(self) -> tuple[QuickReply, ...]:
        """All quick replies, in the owner's order."""
        return self._file.replies

    @property
    def default(self) -> QuickReply | None:
        """The reply that is played when nobody answers, if the owner chose one."""
        return next((one for one in self.replies if one.id == self._file.default), None)

    async def add_recording(self, name: str, wav: bytes) -> QuickReply:
        """Add a recording; ReplyRefused if it is invalid."""
        self._check_room()
        if len(wav) > MAX_WAV_BYTES:
            raise ReplyRefused(f"a recording may have {MAX_WAV_BYTES} bytes, not more")
        sound = await asyncio.to_thread(parse_wav, wav)
        reply = _checked(QuickReply(id=new_id(), name=name.strip(), kind="recording"))
        await asyncio.to_thread(self._keep_sound, reply, sound)
        return await self._add(reply)

    async def add_text(self, name: str, text: str, language: Language) -> QuickReply:
        """Add a text; it is synthesized once, unheard, as a check."""
        self._check_room()
        await self._speech.speak(text, language)
        reply = QuickReply(
            id=new_id(), name=name.strip(), kind="speech", text=text, language=language
        )
        return await self._add(_checked(reply))

    async def remove(self, reply_id: str) -> None:
        """Remove a reply; ReplyUnknown if there is none."""
        async with self._changing:
            reply = self._find(reply_id)
            rest = tuple(one for one in self.replies if one.id != reply.id)
            default = None if self._file.default == reply.id else self._file.default
            await self._write(RepliesFile(replies=rest, default=default))
            await asyncio.to_thread(self._sound_file(reply.id).unlink, missing_ok=True)

    async def set_default(self, reply_id: str | None) -> None:
        """Choose the reply that is played when nobody answers; None for none."""
        async with self._changing:
            default = None if reply_id is None else self._find(reply_id).id
            await self._write(RepliesFile(replies=self.replies, default=default))

    async def play(self, reply_id: str) -> None:
        """Play a reply, and return when it is over. SoundError if it can't be played."""
        reply = self._find(reply_id)
        if reply.kind == "speech":
            sound = await self._speech.speak(reply.text, reply.language)
        else:
            sound = await asyncio.to_thread(self._sound_of, reply)
        self.played.notify()
        await self._speaker.say(sound.samples)

    def start(self, reply_id: str) -> None:
        """Play a reply in the background; ReplyUnknown at once, other errors are logged."""
        reply = self._find(reply_id)
        if self._playing is not None:
            self._playing.cancel()
        self._playing = asyncio.create_task(_logged(self.play(reply.id)), name="quick reply")

    async def aclose(self) -> None:
        """Stop playing."""
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)

    def _check_room(self) -> None:
        if len(self.replies) >= MAX_REPLIES:
            raise ReplyRefused(f"there are {MAX_REPLIES} quick replies, which is the most")

    async def _add(self, reply: QuickReply) -> QuickReply:
        async with self._changing:
            self._check_room()
            default = self._file.default or reply.id
            await self._write(RepliesFile(replies=(*self.replies, reply), default=default))
        return reply

    def _find(self, reply_id: str) -> QuickReply:
        reply = next((one for one in self.replies if one.id == reply_id), None)
        if reply is None:
            raise ReplyUnknown(reply_id)
        return reply

    def _keep_sound(self, reply: QuickReply, sound: Sound) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(self._sound_file(reply.id), sound.wav())

    def _sound_of(self, reply: QuickReply) -> Sound:
        try:
            return parse_wav(self._sound_file(reply.id).read_bytes())
        except OSError as error:
            raise ReplyRefused(
                f"{reply.name}: its recording can't be read; record it anew"
            ) from error

    def _sound_file(self, reply_id: str) -> Path:
        return self._folder / f"{reply_id}.wav"

    async def _write(self, file: RepliesFile) -> None:
        await asyncio.to_thread(self._keep_index, file)
        self._file = file

    def _keep_index(self, file: RepliesFile) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(self._folder / INDEX_FILE, file.encode())

    def _load(self) -> RepliesFile:
        path = self._folder / INDEX_FILE
        try:
            file = decode(RepliesFile, path.read_bytes())
        except FileNotFoundError:
            file = RepliesFile()
        except (OSError, WireError) as error:
            log.error("%s can't be read, so there are no quick replies: %s", path, error)
            return RepliesFile()
        self._clear_up(file)
        return file

    def _clear_up(self, file: RepliesFile) -> None:
        known = {self._sound_file(reply.id) for reply in file.replies}
        for path in self._folder.glob("*.wav*"):
            if path not in known:
                with contextlib.suppress(OSError):
                    path.unlink()


def _checked(reply: QuickReply) -> QuickReply:
    """Return the reply as its file will hold it, or raise ReplyRefused."""
    try:
        return decode(QuickReply, reply.encode())
    except WireError as error:
        raise ReplyRefused(f"a name has 1 to {MAX_NAME_CHARS} characters of one line") from error


async def _logged(saying: Coroutine[Any, Any, None]) -> None:  # Any: what a coroutine yields
    try:
        await saying
    except SoundError as error:
        log.warning("a quick reply can't be played: %s", error)
