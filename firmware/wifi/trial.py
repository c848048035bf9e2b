"""The trial of another network: joined, and kept only once the relay has answered there.

    wanted ─► noted durably ─► joined ─► the relay answers within 2 minutes ─► kept
                                 │                 └── it doesn't ─► returned
                                 └── wrong password, not found ─► returned

The network before is kept until then, and returned to; the helper returns by itself, too, if
nothing is heard from here. A power cut forgets the trial's network, and the next start of the
doorbell makes sure of that and reports it. Each outcome is reported once, after it is durable.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Literal

from firmware.system.clock import MonotonicClock, monotonic_s
from firmware.system.listeners import Listeners
from firmware.wifi.errors import NotJoined, WifiError
from firmware.wifi.kept_network import KeptNetwork
from firmware.wifi.network_service import Networks
from firmware.wifi.relay_probe import Probe
from firmware.wifi.window import Joining

log = logging.getLogger(__name__)

TRIAL_S = 120.0
RETRY_S = 3.0

Reason = Literal[
    "", "wrong_password", "not_found", "failed", "no_relay", "broken_off", "no_helper", "storage"
]
"""Why a network isn't kept; empty: it is. `broken_off`: by a power cut or a restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """How a trial ended; `name` is the network's for people."""

    name: str
    reason: Reason

    @property
    def is_kept(self) -> bool:
        """Whether the doorbell stays in that network."""
        return self.reason == ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialView:
    """Stage of a trial for the page and the light, and the last outcome since the start."""

    stage: Literal["none", "joining", "on_trial"] = "none"
    name: str = ""
    outcome: TrialOutcome | None = None


class WifiTrial:
    """Carries out one trial after the other; `run` until cancelled. All on the loop.

    `ended` is notified of each outcome, also of a trial that a power cut has ended.
    """

    def __init__(
        self,
        *,
        networks: Networks,
        probe: Probe,
        kept: KeptNetwork,
        clock: MonotonicClock,
        trial_s: float = TRIAL_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self._networks = networks
        self._probe = probe
        self._kept = kept
        self._clock = clock
        self._trial_s = trial_s
        self._retry_s = retry_s
        self._wanted: deque[Joining] = deque(maxlen=1)
        self._is_wanted = asyncio.Event()
        self.view = TrialView()
        self.ended = Listeners[TrialOutcome]()

    def want(self, wanted: Joining) -> None:
        """Have a network tried; the window takes no other until this has ended."""
        self._wanted.append(wanted)
        self._is_wanted.set()

    async def run(self) -> None:
        """End the trial that a power cut or a crash has broken off; then try what is wanted."""
        await self._recover()
        while True:
            self._is_wanted.clear()
            if self._wanted:
                self._end(await self._try(self._wanted.popleft()))
            else:
                await self._is_wanted.wait()

    async def _recover(self) -> None:
        name = self._kept.trial_name
        if name is None:
            return
        log.warning("a trial of another Wi-Fi network was broken off: the one before counts")
        await self._go_back()
        await self._note_end()
        self._end(TrialOutcome(name=name, reason="broken_off"))

    async def _try(self, wanted: Joining) -> TrialOutcome:
        name = wanted.network.name
        try:
            await asyncio.to_thread(self._kept.begin_trial, wanted.network, wanted.code_id)
        except OSError as error:  # a trial that a power cut could leave is not begun
            log.error("a trial can't be noted, so it isn't begun: %s", error)
            return TrialOutcome(name=name, reason="storage")
        reason = await self._reason_not_to_keep(wanted)
        if reason:
            await self._go_back()
            await self._note_end()
        return TrialOutcome(name=name, reason=reason)

    async def _reason_not_to_keep(self, wanted: Joining) -> Reason:
        """Join, wait for the relay, and keep; return why it isn't kept, or an empty text."""
        self.view = TrialView(stage="joining", name=wanted.network.name)
        try:
            interface = await self._networks.join(wanted.network)
            self.view = TrialView(stage="on_trial", name=wanted.network.name)
            if not await self._relay_answers(interface):
                return "no_relay"
            await self._networks.keep()
            await asyncio.to_thread(self._kept.keep, wanted.network)
        except NotJoined as error:
            log.warning("the Wi-Fi network wasn't joined: %s", error)
            return error.reason
        except WifiError as error:
            log.error("the Wi-Fi network can't be changed: %s", error)
            return "no_helper"
        except OSError as error:
            log.error("the new Wi-Fi network can't be stored, so it isn't kept: %s", error)
            return "storage"
        return ""

    async def _relay_answers(self, interface: str) -> bool:
        end_s = monotonic_s(self._clock) + self._trial_s
        while True:
            if await self._probe.answers(interface):
                return True
            if monotonic_s(self._clock) + self._retry_s >= end_s:
                return False
            await asyncio.sleep(self._retry_s)

    async def _go_back(self) -> None:
        try:
            await self._networks.go_back()
        except WifiError as error:  # the helper returns by itself when it hears nothing
            log.error("the helper can't be told to go back: %s", error)

    async def _note_end(self) -> None:
        try:
            await asyncio.to_thread(self._kept.end_trial)
        except OSError as error:  # the next start goes back once more, which changes nothing
            log.error("a trial's end can't be noted: %s", error)

    def _end(self, outcome: TrialOutcome) -> None:
        self.view = TrialView(outcome=outcome)
        self.ended.notify(outcome)
