"""Port from the page to the doorbell, with the facts that it shows; see `DoorbellAdapter`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from firmware.enrolment.pairing import Problem
from firmware.knock.service import KnockEnd
from firmware.local_page.check_session import CheckSession
from firmware.local_page.views import ReleaseProgress, StatementView
from firmware.panel.pattern import PressKind
from firmware.protocol.events import CameraState, TroubleCode
from firmware.wifi.trial import Reason as WifiReason
from firmware.wifi.window import Problem as WifiProblem

MicrophoneState = Literal["off", "on", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorbellStatus:
    """Status of the doorbell; None: not known, or not yet."""

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
    relay_url: str = ""
    register_origin: str = ""
    policy_digest: str = ""
    """What pairing ties the doorbell to, for who compares it before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrophoneView:
    """State of the microphone, and who hears it while it is on.

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
    """State of pairing; `words` are four in states "words" and "pressed", and none otherwise.

    `is_recovery`: there is an owner, and whoever pairs now needs the printed recovery code.
    `may_recover`: the service button would open that. `code`, `answer` and `reveal` are the three
    messages so far, for a program that computes the words itself. `problem`: why the window closed,
    or takes no code.
    """

    state: Literal["closed", "open", "answered", "words", "pressed", "paired"]
    words: Sequence[str] = ()
    owner_name: str = ""
    is_recovery: bool = False
    may_recover: bool = False
    device: str = ""
    code: str = ""
    answer: str = ""
    reveal: str = ""
    problem: Problem = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WifiView:
    """State of joining another Wi-Fi network.

    `may_pair`: the service button was held, and pairing by the recovery code may be chosen instead.
    `name` is of the network that is offered or tried. `problem`: why no code is taken, or why the
    window closed. `last_reason` is why the last one since the start wasn't kept, empty: it was.
    """

    state: Literal["closed", "open", "offered", "joining", "on_trial"]
    is_paired: bool
    may_pair: bool = False
    name: str = ""
    problem: WifiProblem = ""
    last_name: str = ""
    last_reason: WifiReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnockView:
    """The knock (R10b c): whether a pattern is set, its tries, and how the last one ended.

    The pattern itself isn't here: whoever needs it knows it, or chooses another.
    """

    is_on: bool
    has_speaker: bool
    tries_left: int
    locked_for_s: int
    last: KnockEnd | None = None
    last_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityView:
    """Whether the card was copied, so that the doorbell may get a new identity, and where from."""

    is_cloned: bool
    relay_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlocked:
    """The door number was right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongNumber:
    """The door number was wrong; after `tries_left` more there is a pause."""

    tries_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A number or code is locked after too many wrong tries, for this long.

    `needs_button`: after so many that only the service button helps.
    """

    wait_s: int
    needs_button: bool = False


DoorNumberAnswer = Unlocked | WrongNumber | Locked


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Result of an action; if it wasn't done, `detail` is one sentence with the reason."""

    is_done: bool
    detail: str = ""


class DoorbellPort(Protocol):
    """Everything that the page needs of the doorbell."""

    @property
    def check(self) -> CheckSession:
        """The installer's check, and the window that it takes."""
        ...

    def status(self) -> DoorbellStatus:
        """Return the doorbell's status."""
        ...

    def pairing_view(self) -> PairingView:
        """Return the state of pairing."""
        ...

    async def complete_pairing(self, door_number: str) -> Outcome:
        """Make the owner of the four words the owner here; `door_number` is six digits."""
        ...

    async def recover(self, recovery: str, door_number: str) -> Outcome | WrongNumber | Locked:
        """Make the owner of the four words an owner, by the printed code or what its key signed."""
        ...

    def wifi_view(self) -> WifiView:
        """Return the state of joining another Wi-Fi network."""
        ...

    def choose_pairing(self) -> bool:
        """Take the service button's press for pairing by the recovery code; False: not now."""
        ...

    async def waiting(self) -> Sequence[StatementView]:
        """Return the statements that wait and have not expired."""
        ...

    async def part(self, digest: str, number: int) -> bytes | None:
        """Return exactly what would leave of a waiting grant's clip `number` (from 1), as MP4."""
        ...

    async def under_way(self) -> Sequence[ReleaseProgress]:
        """Return the grants that were confirmed and aren't sealed yet."""
        ...

    async def progress(self, digest: str) -> ReleaseProgress | None:
        """Return the progress of a confirmed grant; None for any other digest."""
        ...

    def number_changes(self) -> int:
        """Return how often the door number was set since the start."""
        ...

    async def check_door_number(self, number: str, link: str = "") -> DoorNumberAnswer:
        """Check six digits; tries are counted durably.

        `link` is the token of the link past a lock by which the page was opened.
        """
        ...

    async def confirm(self, digest: str) -> Outcome:
        """Confirm exactly this statement for its owner."""
        ...

    async def refuse(self, digest: str) -> Outcome:
        """Refuse this statement for its owner."""
        ...

    def microphone(self) -> MicrophoneView:
        """Return the state of the microphone."""
        ...

    async def switch_microphone(self, *, is_on: bool) -> Outcome:
        """Switch it; the caller has seen the door number."""
        ...

    def identity(self) -> IdentityView:
        """Return whether the doorbell may get a new identity."""
        ...

    async def take_identity(self, link: str) -> Outcome:
        """Get a new identity by the app's link; the caller has seen the door number."""
        ...

    def knock(self) -> KnockView:
        """Return the state of the knock."""
        ...

    async def choose_knock(self, presses: Sequence[PressKind]) -> Outcome:
        """Let this pattern count, none: no knock any more. The caller has seen the door number."""
        ...
