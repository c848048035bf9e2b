"""What the page asks of the doorbell, and the facts that it shows; app implements `DoorPorts`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from firmware.protocol.events import CameraState, TroubleCode

MicrophoneState = Literal["off", "on", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorStatus:
    """How the doorbell is; None: it isn't known, or not yet."""

    device: str
    is_paired: bool
    is_online: bool
    is_clock_trusted: bool
    clip_count: int
    addresses: Sequence[str]
    camera: CameraState | None = None
    card_free_bytes: int | None = None
    card_total_bytes: int | None = None
    troubles: Sequence[TroubleCode] = ()
    microphone: MicrophoneState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrophoneView:
    """The microphone, and who hears it while it is on.

    `state` "none": there is no sound card (`has_card` False), or it is on and can't be used, and
    `trouble` says why.
    """

    state: MicrophoneState
    has_card: bool
    is_on: bool
    trouble: str
    is_in_live_view: bool
    is_in_clips: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingView:
    """Where pairing stands; `words` are six in state "words" and none otherwise."""

    state: Literal["closed", "open", "words", "paired"]
    words: Sequence[str] = ()
    owner_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingClip:
    """One clip that a statement would give away."""

    clip_id: str
    started_ms: int
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingStatement:
    """A checked statement that waits for the owner's word here.

    For "add_owner", `owner_name` is who would become an owner, else the owner who signed. `words`
    are the six that the newcomer's own app shows too, or for "session" the browser called
    `browser_name`. What concerns an agency is empty but for "grant".
    """

    digest: str
    kind: Literal["grant", "add_owner", "session"]
    owner_name: str
    expires_ms: int
    browser_name: str = ""
    words: Sequence[str] = ()
    agency: str = ""
    case_number: str = ""
    text: str = ""
    contact: str = ""
    officer_name: str = ""
    retention_days: int = 0
    onward_sharing: Literal["", "none", "prosecutor"] = ""
    recipient_fingerprint: str = ""
    has_audio: bool = False
    clips: Sequence[WaitingClip] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlocked:
    """The door number was right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongNumber:
    """It wasn't; after `tries_left` more there is an hour's pause."""

    tries_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """Too many wrong tries; for so long no number counts."""

    wait_s: int


DoorNumberAnswer = Unlocked | WrongNumber | Locked


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Whether it was done; if not, `detail` is one sentence that says why."""

    is_done: bool
    detail: str = ""


class DoorPorts(Protocol):
    """The doorbell, as its page knows it."""

    def status(self) -> DoorStatus:
        """Return how the doorbell is."""
        ...

    def pairing_view(self) -> PairingView:
        """Return where pairing stands."""
        ...

    async def complete_pairing(self, door_number: str) -> Outcome:
        """Make the owner of the six words the owner here; `door_number` is six digits."""
        ...

    def waiting(self) -> Sequence[WaitingStatement]:
        """Return the statements that wait and have not expired."""
        ...

    async def check_door_number(self, number: str) -> DoorNumberAnswer:
        """Check six digits; tries are counted durably."""
        ...

    async def confirm(self, digest: str) -> Outcome:
        """The owner says yes to exactly this statement."""
        ...

    async def refuse(self, digest: str) -> Outcome:
        """The owner says no to it."""
        ...

    def microphone(self) -> MicrophoneView:
        """Return how the microphone is."""
        ...

    async def switch_microphone(self, *, is_on: bool) -> Outcome:
        """Switch it; the caller has seen the door number."""
        ...

    async def plain_mp4(self, clip_id: str) -> bytes | None:
        """Return a clip as plain MP4."""
        ...
