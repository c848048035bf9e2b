"""Errors of sound.

SoundError
├── SoundMissing    a library or program isn't installed
├── NoAudioDevice     there is no such microphone or speaker, or it gives no sound
├── AacFailed       FFmpeg can't encode sound for clips
├── TalkRefused     a viewer may not talk now; `reason` is a short name for it
├── ReplyRefused    a quick reply can't be kept as it is
├── ReplyUnknown    there is no quick reply of that id
└── SpeechFailed    a text couldn't be spoken
"""

from firmware.errors import DoorwardError

NO_CARD = 'this doorbell has no sound: set sound.card to "system" in its settings'


class SoundError(DoorwardError):
    """An audio failure; the rest of the doorbell works without audio."""


class SoundMissing(SoundError):
    """A library or program isn't installed; `install` is the command that installs it."""

    def __init__(self, what: str, install: str) -> None:
        super().__init__(f"{what} is missing: {install}")
        self.what = what
        self.install = install


class NoAudioDevice(SoundError):
    """A microphone or speaker is missing, or can't be used."""


class AacFailed(SoundError):
    """AAC encoding by FFmpeg failed; the clip goes on without sound."""


class TalkRefused(SoundError):
    """A viewer may not talk now; `detail` says what to do."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ReplyRefused(SoundError):
    """A quick reply is too long, too many, or not the sound that is expected."""


class ReplyUnknown(SoundError):
    """A quick reply of that id doesn't exist."""

    def __init__(self, reply_id: str) -> None:
        super().__init__(f"there is no quick reply {reply_id}; ask for the list again")
        self.reply_id = reply_id


class SpeechFailed(SoundError):
    """A text couldn't be spoken."""
