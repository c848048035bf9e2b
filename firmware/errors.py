"""Errors of the doorbell that several parts raise; a part's own are in its folder's errors.py.

    DoorwardError
    ├── ConfigError             doorbell.toml: which key, its value, what was expected
    ├── StoreError              a file of the data folder is damaged, or of a newer version
    ├── VaultError              a sealed file can't be opened: another key, or damaged
    ├── ProvenanceError         content credentials couldn't be made: nothing was released
    ├── NumPyMissing            motion and masks need it, and it doesn't come with Doorward
    ├── CameraError             no pictures: why, in a word of protocol.events.CameraState
    ├── EnrolmentError
    │   ├── ClaimRefused        final: a new claim is needed
    │   ├── RenewalRefused      the relay doesn't renew the certificate: why
    │   ├── RelayUnreachable    try again later
    │   │   ├── TimeUnknown     a relay leads to another shard, and the clock isn't trusted yet
    │   │   └── ShardNotReady   a relay leads to another shard, which hasn't taken us yet
    │   ├── ShardRefused        the relay leads to another shard, which isn't followed: why
    │   └── AnswerRefused       the relay's answer isn't what the claim pins
    ├── DoorNumberError
    │   ├── DoorNumberInvalid   not six digits
    │   │   └── DoorNumberWeak  six digits that people guess: a date, a run, a repeat
    │   ├── DoorNumberWrong     how many tries are left
    │   ├── DoorNumberLocked    for how long, or until the service button is pressed
    │   └── DoorLinkRefused     no link past a lock can be given
    ├── CheckCodeError
    │   ├── CheckCodeWrong      not the check page's four digits: how many tries are left
    │   └── CheckCodeLocked     for how long, or until the service button is pressed
    ├── RecoveryError
    │   ├── RecoveryWrong       not the recovery code that counts: how many tries are left
    │   └── RecoveryLocked      for how long
    ├── EventRefused            an event is too large for the outbox
    ├── OutboxFull              the storage takes nothing, and too many events wait in memory
    ├── LinkError
    │   ├── ConnectionRefused   the broker doesn't let us in: never final
    │   └── ConnectionFailed    it can't be reached, or the connection broke
    ├── WrongBucket             a URL leads elsewhere than to the bucket named at enrolment
    ├── BucketUnreachable       the bucket can't be reached, or the connection broke
    ├── UploadError
    │   ├── TicketRefused       the ticket points elsewhere or doesn't fit: needs a new one
    │   ├── PackageDamaged      a sealed package can't be read: it never leaves
    │   ├── PackageOfAnotherVersion  another Doorward sealed it: it waits for that one
    │   └── UploadFailed        the bucket can't be reached: later again
    ├── ControlError            the owner's command found no doorbell, or was refused
    ├── SoundError              sound/errors.py
    │   ├── SoundMissing        a library or program isn't installed
    │   ├── NoAudioDevice       there is no such microphone or speaker, or it gives no sound
    │   ├── AacFailed           FFmpeg can't encode sound for clips
    │   ├── TalkRefused         a viewer may not talk now
    │   ├── ReplyRefused        a quick reply can't be kept as it is
    │   ├── ReplyUnknown        there is no quick reply of that id
    │   └── SpeechFailed        a text couldn't be spoken
    ├── KnockError              knock/errors.py
    │   ├── KnockRefused        the doorbell can't ask by knock now
    │   └── PatternWeak         a pattern that others would guess
    ├── FollowError             transparency/errors.py
    │   ├── LogUnreachable      the log can't be reached
    │   ├── LogUnreadable       the log's answer breaks its format
    │   └── LogContradicts      the log isn't consistent with the one read before
    ├── WifiError               wifi/errors.py
    │   ├── ServiceUnreachable  there is no helper that may change networks
    │   └── NotJoined           the network wasn't joined: why
    ├── SceneError              capture/replay: a scene file isn't what it must be
    ├── ReplayMissing           capture/replay: NumPy or Pillow isn't installed
    ├── DoorError               local_page/errors.py
    │   └── PortTaken           another program listens there
    └── LiveError               live/errors.py: why a session was refused, for the viewer

Documents from outside raise `protocol.encoding.WireError`. Programs on the owner's own machine have
trees of their own (companion/*/errors.py): they share no code with the doorbell but the protocol.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # else every error would load all documents, and the bell would wait for them
    from firmware.protocol.events import CameraState


class DoorwardError(Exception):
    """Base of all errors; its text is one sentence for people that names a remedy."""


class ConfigError(DoorwardError):
    """A value of the configuration file is missing or wrong."""

    def __init__(self, key: str, value: object, expected: str, *, sentence: str = "") -> None:
        super().__init__(sentence or f"{key} = {value!r}: expected {expected}")
        self.key = key
        self.value = value
        self.expected = expected


class StoreError(DoorwardError):
    """A file of the data folder is damaged, or was written by a newer Doorward."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


class VaultError(DoorwardError):
    """A sealed file is damaged or was sealed under another key, or its key can't be reached."""


class ProvenanceError(DoorwardError):
    """A released file could not get its content credentials; `problem` is the cause."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the content credentials (C2PA) could not be made: {problem}")
        self.problem = problem


class NumPyMissing(DoorwardError):
    """NumPy isn't installed; on a Pi it must be the board's own."""

    def __init__(self) -> None:
        super().__init__(
            "NumPy is missing: on a Raspberry Pi, sudo apt install python3-numpy, in an "
            "environment made with --system-site-packages; elsewhere, "
            "pip install 'doorward[firmware,vision]'"
        )


class CameraError(DoorwardError):
    """The camera gives no pictures; `state` is the value that is reported to the owner."""

    def __init__(self, state: "CameraState", detail: str) -> None:
        super().__init__(detail)
        self.state: CameraState = state
        self.detail = detail


class EnrolmentError(DoorwardError):
    """The doorbell could not be enrolled."""


class ClaimRefused(EnrolmentError):
    """The claim is unreadable, expired, used or unknown; `code` is the relay's error code."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(
            f"the claim can't be used ({code}): {detail}. "
            "Ask the relay's operator for a new invitation"
        )
        self.code = code


class RenewalRefused(EnrolmentError):
    """The relay doesn't renew this doorbell's certificate; `code` is the relay's error code."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"the certificate isn't renewed ({code}): {detail}")
        self.code = code


class RelayUnreachable(EnrolmentError):
    """The relay gave no answer; trying again later may help."""

    def __init__(self, url: str, detail: str) -> None:
        super().__init__(f"the relay at {url} didn't answer: {detail}")
        self.url = url


class TimeUnknown(RelayUnreachable):
    """A relay leads to another shard, which can't be judged yet: the clock isn't trusted."""

    def __init__(self, url: str) -> None:
        EnrolmentError.__init__(
            self,
            f"the relay at {url} leads to another shard, and that is followed only once this "
            "doorbell knows the time: check its way to the internet",
        )
        self.url = url


class ShardNotReady(RelayUnreachable):
    """The relay that another one leads to doesn't have the claim, or this doorbell, yet."""

    def __init__(self, url: str) -> None:
        EnrolmentError.__init__(
            self,
            f"the relay at {url}, to which another one leads, doesn't have this doorbell's claim "
            "yet: its operator takes it there (`doorward-relay shard take`)",
        )
        self.url = url


class ShardRefused(EnrolmentError):
    """A relay leads to another shard, which isn't followed; `reason` is one word for why."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"the relay leads to another shard, which isn't followed: {detail}")
        self.reason = reason


class AnswerRefused(EnrolmentError):
    """The answer isn't from the relay that the claim pins, or is malformed."""


class DoorNumberError(DoorwardError):
    """The door number was not accepted."""


class DoorNumberInvalid(DoorNumberError):
    """The text isn't six digits."""

    def __init__(self, detail: str = "a door number is exactly six digits") -> None:
        super().__init__(detail)


class DoorNumberWeak(DoorNumberInvalid):
    """The number is one of those that are guessed first; the text says why."""

    def __init__(self, weakness: Literal["run", "repeat", "date"]) -> None:
        super().__init__(f"a door number mustn't be a {weakness}: others would try it first")


class DoorNumberWrong(DoorNumberError):
    """The number isn't the one that was chosen at pairing."""

    def __init__(self, tries_left: int) -> None:
        super().__init__(f"wrong door number, {tries_left} tries left")
        self.tries_left = tries_left


class DoorNumberLocked(DoorNumberError):
    """Too many wrong tries; `needs_button`: so many that only the service button helps."""

    def __init__(self, wait_s: int, *, needs_button: bool = False) -> None:
        wait = f"wait {-(-wait_s // 60)} minutes"
        help_text = "only the service button inside the case helps" if needs_button else wait
        super().__init__(f"too many wrong tries; {help_text}")
        self.wait_s = wait_s
        self.needs_button = needs_button


class DoorLinkRefused(DoorNumberError):
    """No link past the lock of the door number can be given; `reason` says why."""

    def __init__(self, reason: Literal["unlocked", "needs_button"]) -> None:
        super().__init__(
            "the door number isn't locked, so no link is needed"
            if reason == "unlocked"
            else "after so many wrong numbers only the service button helps"
        )
        self.reason = reason


class CheckCodeError(DoorwardError):
    """The four digits of the check page were not accepted."""


class CheckCodeWrong(CheckCodeError):
    """These aren't the digits that light, voice and log give; or none are to be typed now."""

    def __init__(self, tries_left: int) -> None:
        super().__init__(f"wrong digits, {tries_left} tries left")
        self.tries_left = tries_left


class CheckCodeLocked(CheckCodeError):
    """Too many wrong tries; `needs_button`: so many that only the service button helps."""

    def __init__(self, wait_s: int, *, needs_button: bool = False) -> None:
        super().__init__("too many wrong tries; wait, or press the service button")
        self.wait_s = wait_s
        self.needs_button = needs_button


class RecoveryError(DoorwardError):
    """The recovery code lets nobody in."""


class RecoveryWrong(RecoveryError):
    """The recovery code isn't the current one, or isn't for this pairing."""

    def __init__(self, tries_left: int) -> None:
        super().__init__(f"not the recovery code that counts here, {tries_left} tries left")
        self.tries_left = tries_left


class RecoveryLocked(RecoveryError):
    """Too many wrong tries."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"too many wrong tries; wait {-(-wait_s // 60)} minutes")
        self.wait_s = wait_s


class EventRefused(DoorwardError):
    """The event is too large for the wire; it was not queued."""

    def __init__(self, size_bytes: int, max_bytes: int) -> None:
        super().__init__(f"event of {size_bytes} bytes, at most {max_bytes} can be sent")
        self.size_bytes = size_bytes


class OutboxFull(DoorwardError):
    """Storage takes no events, and the queue in memory is full."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"the card takes nothing: {waiting} events wait, this one isn't told")


class LinkError(DoorwardError):
    """There is no connection to the broker at the moment."""


class ConnectionRefused(LinkError):
    """The broker answered and refuses this doorbell."""


class ConnectionFailed(LinkError):
    """The broker can't be reached or authenticated, or the connection broke."""


class WrongBucket(DoorwardError):
    """A URL leads to another place than the bucket named at enrolment."""


class BucketUnreachable(DoorwardError):
    """The bucket can't be reached just now, or the connection to it broke."""


class UploadError(DoorwardError):
    """An evidence package is not in the bucket yet."""

    def __init__(self, package_id: str, detail: str) -> None:
        super().__init__(f"package {package_id}: {detail}")
        self.package_id = package_id


class TicketRefused(UploadError):
    """The upload ticket can't be used; the relay must send another."""


class PackageDamaged(UploadError):
    """A sealed package's announcement can't be read from storage any more: it never leaves."""


class PackageOfAnotherVersion(UploadError):
    """The package was sealed by another version of Doorward, and waits here for that version."""


class UploadFailed(UploadError):
    """The bucket didn't take a part in several tries."""


class ControlError(DoorwardError):
    """The running doorbell could not be reached, or refused the command."""
