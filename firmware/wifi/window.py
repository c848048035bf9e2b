"""The service button's window for Wi-Fi codes: pure, with the time passed in.

    closed ─button held─► open ─owner's code────────────────────────► wanted ─trial─► closed
                           │   ─usual code, nobody owns it─► offered ─button pressed─►┘
                           └── 10 minutes, or another use of the button ► closed

One press means one thing. With an owner, only a code counts that is sealed to this doorbell and
signed by an owner's passkey, once; any other does nothing, window or not. Without an owner, the
usual code is offered: the doorbell says and shows the network's name, and the button's second,
short press has it joined. Two codes that would count are one too many: the window closes.

While the window is open, and as long as a code is in view after that, pictures are withheld: a
password would be filmed. That ends with the window's ten minutes, whatever is in view.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from firmware.protocol.encoding import WireError
from firmware.protocol.grants import Owner
from firmware.protocol.wifi import (
    CODE_LIFE_MS,
    WIFI_PREFIX,
    OwnersNetwork,
    WifiInvalid,
    WifiNetwork,
    open_wifi,
    parse_wifi_code,
    parse_wifi_text,
    signer_of_wifi,
)
from firmware.system.listeners import Listeners

log = logging.getLogger(__name__)

WINDOW_MS = 10 * 60 * 1000
GONE_MS = 5000
"""So long after a code was last in view it is taken to be gone."""
USUAL_PREFIX = "WIFI:"
MAX_TEXTS = 8
"""Codes of one frame that are looked at."""

Problem = Literal[
    "", "two_codes", "not_signed", "expired", "used", "open_network", "wep", "refused"
]  # fmt: skip
"""Why no code is taken, or why the window closed:

`two_codes`: two that would count; `not_signed`: of no owner of this doorbell; `expired`; `used`:
joined once before; `open_network`, `wep`: not safe enough to be joined; `refused`: not what a code
must be.
"""


class UsedIds(Protocol):
    """The ids of codes that counted (`firmware.wifi.kept_network.KeptNetwork`)."""

    def has(self, code_id: bytes) -> bool:
        """Return whether this id was used."""
        ...


class WifiOwners(Protocol):
    """The owners, whose passkeys sign codes (`firmware.enrolment.owners.OwnerStore`)."""

    @property
    def owners(self) -> Sequence[Owner]:
        """The owners of this moment."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The window is closed; `problem` is why, if something was wrong."""

    problem: Problem = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """The camera looks for a Wi-Fi code."""

    is_owned: bool
    problem: Problem = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """Nobody owns the doorbell, and a usual code was read: the second press has it joined."""

    text: str
    network: WifiNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """A network is to be joined; the trial goes on until `end_trial`."""

    network: WifiNetwork
    code_id: bytes | None
    """Of an owner's code, to be used once; None: of a usual one."""


State = Closed | Open | Offered | Joining


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowView:
    """State of the window, for the page and the light."""

    state: Literal["closed", "open", "offered", "joining"]
    is_owned: bool = False
    name: str = ""
    """Of the network that is offered or wanted."""
    problem: Problem = ""


class WifiWindow:
    """One doorbell's window for Wi-Fi codes. All on the loop.

    `opened` is notified when the window was opened, `offered` when a network waits for the second
    press, `wanted` when one is to be joined.
    """

    def __init__(
        self, *, device: str, sealing_private_key: bytes, owners: WifiOwners, used: UsedIds
    ) -> None:
        self._device = device
        self._private_key = sealing_private_key
        self._owners = owners
        self._used = used
        self._state: State = Closed()
        self._until_ms = 0
        self._seen_ms: int | None = None
        self.opened = Listeners[()]()
        self.offered = Listeners[WifiNetwork]()
        self.wanted = Listeners[Joining]()

    def hold_service(self, now_ms: int) -> bool:
        """Open the window, or begin again; False while a network is being joined."""
        if isinstance(self._at(now_ms), Joining):
            return False
        self._state = Open(is_owned=bool(self._owners.owners))
        self._until_ms = now_ms + WINDOW_MS
        self._seen_ms = None
        self.opened.notify()
        return True

    def press_service(self, now_ms: int) -> bool:
        """Take the second, short press; return whether a network waited for it."""
        state = self._at(now_ms)
        if not isinstance(state, Offered):
            return False
        self._want(Joining(network=state.network, code_id=None))
        return True

    def close(self, now_ms: int) -> None:
        """Close the window, unless a network is being joined: the button means something else."""
        if not isinstance(self._at(now_ms), Joining):
            self._state = Closed()

    def end_trial(self) -> None:
        """Close the window after a trial, however it ended."""
        self._state = Closed()

    def is_reading(self, now_ms: int) -> bool:
        """Return whether the camera should look for codes."""
        return self.is_withholding(now_ms)

    def is_withholding(self, now_ms: int) -> bool:
        """Return whether pictures may go nowhere but to the code reader."""
        state = self._at(now_ms)
        if now_ms >= self._until_ms:
            return False
        is_in_view = self._seen_ms is not None and now_ms - self._seen_ms < GONE_MS
        return not isinstance(state, Closed) or is_in_view

    def take(
        self, texts: Sequence[str], *, now_ms: int, wall_ms: int, is_clock_trusted: bool
    ) -> None:
        """Take the texts of all codes in one frame.

        A clock that isn't trusted is behind, never ahead, so that a code for longer than codes
        last isn't told from one of now: that is refused only by a clock that is trusted.
        """
        state = self._at(now_ms)
        of_wifi = sorted({text for text in texts if text.startswith((WIFI_PREFIX, USUAL_PREFIX))})
        if of_wifi:
            self._seen_ms = now_ms
        match state:
            case Open(is_owned=True):
                latest_ms = wall_ms + 2 * CODE_LIFE_MS if is_clock_trusted else None
                self._take_owners(state, of_wifi[:MAX_TEXTS], wall_ms, latest_ms)
            case Open():
                self._take_usual(state, of_wifi)
            case Offered() if any(text != state.text for text in _usual(of_wifi)):
                self._state = Closed(problem="two_codes")

    def view(self, now_ms: int) -> WindowView:
        """Return the state for the page and the light."""
        match self._at(now_ms):
            case Closed(problem=problem):
                return WindowView(state="closed", problem=problem)
            case Open(is_owned=is_owned, problem=problem):
                return WindowView(state="open", is_owned=is_owned, problem=problem)
            case Offered(network=network):
                return WindowView(state="offered", name=network.name)
            case Joining(network=network, code_id=code_id):
                return WindowView(state="joining", is_owned=code_id is not None, name=network.name)

    def _take_owners(
        self, state: Open, texts: Sequence[str], wall_ms: int, latest_ms: int | None
    ) -> None:
        """Take the one code that an owner signed; others do nothing but leave a word why."""
        problem = state.problem
        good: dict[bytes, OwnersNetwork] = {}
        for text in texts:
            found = self._judge(text, wall_ms, latest_ms)
            if isinstance(found, OwnersNetwork):
                good[found.id] = found
            else:
                problem = found
        if len(good) > 1:
            self._state = Closed(problem="two_codes")
        elif good:
            ((code_id, wanted),) = good.items()
            self._want(Joining(network=wanted.network, code_id=code_id))
        else:
            self._state = replace(state, problem=problem)

    def _judge(self, text: str, wall_ms: int, latest_ms: int | None) -> OwnersNetwork | Problem:
        """Return what an owner's code says, or why it doesn't count. Signature first."""
        try:
            code = parse_wifi_code(text)
        except WireError:
            return "not_signed"
        owner = signer_of_wifi(code, device=self._device, owners=self._owners.owners)
        if owner is None:
            return "not_signed"
        try:
            wanted = open_wifi(code, device=self._device, private_key=self._private_key)
        except WireError as error:
            log.warning("an owner's Wi-Fi code can't be opened: %s", error)
            return "refused"
        is_too_long = latest_ms is not None and wanted.expires_ms > latest_ms
        if wanted.expires_ms <= wall_ms or is_too_long:
            return "expired"
        return "used" if self._used.has(wanted.id) else wanted

    def _take_usual(self, state: Open, texts: Sequence[str]) -> None:
        usual = _usual(texts)
        if len(usual) > 1:
            self._state = Closed(problem="two_codes")
        elif usual:
            try:
                network = parse_wifi_text(usual[0])
            except WifiInvalid as error:
                self._state = replace(state, problem=error.reason)
                return
            self._state = Offered(text=usual[0], network=network)
            self.offered.notify(network)

    def _want(self, wanted: Joining) -> None:
        log.info("another Wi-Fi network is to be joined")
        self._state = wanted
        self.wanted.notify(wanted)

    def _is_owned_differently(self, state: Open | Offered) -> bool:
        was_owned = isinstance(state, Open) and state.is_owned
        return was_owned != bool(self._owners.owners)

    def _at(self, now_ms: int) -> State:
        state = self._state
        if isinstance(state, Open | Offered) and (
            now_ms >= self._until_ms or self._is_owned_differently(state)
        ):
            self._state = Closed()  # or somebody was paired meanwhile: another rule holds now
        return self._state


def _usual(texts: Sequence[str]) -> list[str]:
    return [text for text in texts if text.startswith(USUAL_PREFIX)]
