"""A radio and a relay behind it, at the seams of a trial."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from firmware.protocol.wifi import WifiNetwork
from firmware.wifi.errors import NotJoined, NotJoinedReason, ServiceUnreachable
from tests.fakes.clock import ManualClock


@dataclass
class FakeNetworks:
    """Implements `firmware.wifi.network_service.Networks`: remembers what was asked, in order."""

    fails: NotJoinedReason | None = None
    has_helper: bool = True
    fails_to_keep: bool = False
    asked: list[str] = field(default_factory=list)
    hang: asyncio.Event | None = None

    async def join(self, network: WifiNetwork) -> str:
        self.asked.append(f"join {network.name}")
        if self.hang is not None:
            await self.hang.wait()
        if not self.has_helper:
            raise ServiceUnreachable("no helper")
        if self.fails is not None:
            raise NotJoined(self.fails, "no")
        return "wlan0"

    async def keep(self) -> None:
        if self.fails_to_keep:
            raise NotJoined("failed", "left already")
        self.asked.append("keep")

    async def go_back(self) -> None:
        self.asked.append("go back")
        if not self.has_helper:
            raise ServiceUnreachable("no helper")


@dataclass
class FakeProbe:
    """Implements `firmware.wifi.relay_probe.Probe`; each question takes some of the time."""

    clock: ManualClock
    answers_in_turn: Sequence[bool] = (True,)
    takes_s: float = 10.0
    asked: list[str] = field(default_factory=list)

    async def answers(self, interface: str) -> bool:
        self.asked.append(interface)
        self.clock.advance(self.takes_s)
        return self.answers_in_turn[min(len(self.asked), len(self.answers_in_turn)) - 1]
