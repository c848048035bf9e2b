"""One viewer's audio session: talking, listening, quick replies.

Who may talk is decided by `firmware.sound.talk_floor`, what is heard by `firmware.sound`; here a
viewer's wishes reach them, and a visit's end takes the viewer off again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware.live.control_channel import Microphone, Reply, SwitchMicrophone, Talk
from firmware.live.errors import LiveError
from firmware.sound.errors import SoundError, TalkRefused
from firmware.sound.opus import OpusFeed
from firmware.sound.quick_replies import QuickReplies, QuickReply
from firmware.sound.talk_floor import TalkFloor


class DoorMicrophone(Protocol):
    """The doorbell's microphone (`firmware.sound.microphone.Microphone`)."""

    @property
    def state(self) -> Microphone:
        """Whether it is on, off, or can't be used."""
        ...

    async def switch(self, is_on: bool) -> None:
        """Switch it; OSError if storage doesn't keep that."""
        ...


@dataclass(slots=True, kw_only=True)
class LiveSound:
    """The doorbell's sound for live view; `opus` is None where there is none.

    Nobody who watches can switch the microphone on: that is done at the doorbell's own page.
    """

    opus: OpusFeed | None
    floor: TalkFloor
    replies: QuickReplies
    microphone: DoorMicrophone
    reply_after_s: float = 0.0
    """How long after a press the default quick reply is said; 0: never."""

    @property
    def heard(self) -> OpusFeed | None:
        """The door's sound while the owners' settings let those who watch listen, else None."""
        return self.opus if self.opus is not None and self.opus.is_allowed else None


class SessionVoice:
    """The sound of one viewer's session. `leave` at the end."""

    def __init__(self, sound: LiveSound, session_id: str, *, name: str) -> None:
        self._sound = sound
        self._session_id = session_id
        self._name = name
        self.has_talked = False

    @property
    def replies(self) -> Sequence[QuickReply]:
        """The quick replies that can be played."""
        return self._sound.replies.replies

    @property
    def opus(self) -> OpusFeed | None:
        """The door's sound for this viewer; None where live view carries no sound."""
        return self._sound.heard

    @property
    def is_talking(self) -> bool:
        """Whether this viewer talks: their voice is played at the door."""
        return self._sound.floor.talks(self._session_id)

    def play(self, frame: bytes) -> None:
        """Play 20 ms of this viewer's voice, if they may talk."""
        if self._sound.floor.play(self._session_id, frame):
            self.has_talked = True

    def grant(self, wish: Talk | Reply) -> None:
        """Carry out a viewer's request, or raise LiveError."""
        try:
            match wish:
                case Talk(is_on=True):
                    self._sound.floor.ask(
                        self._session_id, name=self._name, is_open_line=wish.is_open_line
                    )
                case Talk():
                    self.leave()
                case Reply():
                    self._sound.replies.start(wish.id)
        except TalkRefused as error:
            raise LiveError(error.reason, error.detail) from error
        except SoundError as error:
            raise LiveError("no_reply", str(error)) from error

    def leave(self) -> None:
        """Stop talking."""
        self._sound.floor.leave(self._session_id)


async def switch_microphone(sound: LiveSound | None, wish: SwitchMicrophone) -> None:
    """Switch the microphone off for everybody, or raise LiveError.

    On is refused: what widens who may hear isn't decided by a browser (trust rule R10c).
    """
    if wish.is_on:
        detail = "turn the microphone on at the doorbell's own page, with the door number"
        raise LiveError("at_the_door", detail)
    if sound is None:
        raise LiveError("no_sound", "there is no sound in this session")
    try:
        await sound.microphone.switch(False)
    except OSError as error:
        detail = "it is off now, but the memory card doesn't keep that; look at its health"
        raise LiveError("card", detail) from error
