"""A doorbell for its own page that says what a test wants, and a browser in the home network."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta, timezone

import httpx2

from firmware.door import door_app
from firmware.door.guard import own_origins
from firmware.door.ports import (
    DoorNumberAnswer,
    DoorStatus,
    Locked,
    MicrophoneView,
    Outcome,
    PairingView,
    Unlocked,
    WaitingClip,
    WaitingStatement,
    WrongNumber,
)
from tests.fakes.clock import ManualClock

URL = "http://localhost:8402"
DIGEST = "a" * 64
CLIP_ID = "c" * 26
NUMBER = "493817"
MP4 = bytes(range(256)) * 4
CET = timezone(timedelta(hours=1), "CET")
GRANT = WaitingStatement(
    digest=DIGEST,
    kind="grant",
    owner_name="Maria",
    expires_ms=1_795_000_600_000,
    agency="Lakeland <Police>",
    case_number="26-1234",
    text="A bicycle was taken.\n<script>alert(1)</script>",
    contact="+46 8 123",
    officer_name="R. Ek",
    retention_days=30,
    onward_sharing="prosecutor",
    recipient_fingerprint="ab12 cd34",
    clips=(WaitingClip(clip_id=CLIP_ID, started_ms=1_795_000_000_000, duration_ms=12_000),),
)
EAR = MicrophoneView(
    state="off",
    has_card=True,
    is_on=False,
    trouble="",
    is_in_live_view=True,
    is_in_clips=False,
)


@dataclass
class Doorbell:
    """Implements DoorPorts, and remembers what it was told."""

    view: PairingView = field(
        default_factory=lambda: PairingView(
            state="words",
            words=("acorn", "bridge", "candle", "dune", "ember", "fern"),
            owner_name="Maria",
        )
    )
    waits: list[WaitingStatement] = field(default_factory=lambda: [GRANT])
    outcome: Outcome = field(default_factory=lambda: Outcome(is_done=True))
    wrong_tries: int = 0
    told: list[str] = field(default_factory=list)
    ear: MicrophoneView = EAR

    def status(self) -> DoorStatus:
        return DoorStatus(
            device="e" * 20,
            is_paired=self.view.state in ("words", "paired"),
            is_online=True,
            is_clock_trusted=True,
            clip_count=3,
            addresses=(URL,),
        )

    def pairing_view(self) -> PairingView:
        return self.view

    async def complete_pairing(self, door_number: str) -> Outcome:
        self.told.append(f"pair {door_number}")
        self.view = PairingView(state="paired")
        return self.outcome

    def waiting(self) -> list[WaitingStatement]:
        return self.waits

    async def check_door_number(self, number: str) -> DoorNumberAnswer:
        if self.wrong_tries >= 5:
            return Locked(wait_s=3600)
        if number == NUMBER:
            return Unlocked()
        self.wrong_tries += 1
        left = 5 - self.wrong_tries
        return WrongNumber(tries_left=left) if left else Locked(wait_s=3600)

    async def confirm(self, digest: str) -> Outcome:
        self.told.append(f"confirm {digest}")
        return self.outcome

    async def refuse(self, digest: str) -> Outcome:
        self.told.append(f"refuse {digest}")
        return self.outcome

    def microphone(self) -> MicrophoneView:
        return self.ear

    async def switch_microphone(self, *, is_on: bool) -> Outcome:
        self.told.append(f"microphone {'on' if is_on else 'off'}")
        if self.outcome.is_done:
            self.ear = replace(self.ear, is_on=is_on, state="on" if is_on else "off")
        return self.outcome

    async def plain_mp4(self, clip_id: str) -> bytes | None:  # noqa: ARG002
        return MP4


@dataclass
class Home:
    """A doorbell, its clock, and one browser on the home network."""

    bell: Doorbell
    clock: ManualClock
    web: httpx2.AsyncClient

    async def post(self, path: str, json_wanted: bool = False, **fields: str) -> httpx2.Response:
        headers = {"Origin": URL, **({"Accept": "application/json"} if json_wanted else {})}
        return await self.web.post(path, data=fields, headers=headers)

    async def unlock(self) -> None:
        reply = await self.post("/unlock", door_number=NUMBER)
        assert reply.status_code == 303


@asynccontextmanager
async def door_page() -> AsyncIterator[Home]:
    bell, clock = Doorbell(), ManualClock()
    app = door_app(
        bell, origins=own_origins(URL, listen_host="127.0.0.1", listen_port=8402),
        clock=clock, zone=CET,
    )  # fmt: skip
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url=URL) as web:
        yield Home(bell, clock, web)


WELL = DoorStatus(
    device="e" * 20,
    is_paired=True,
    is_online=True,
    is_clock_trusted=True,
    clip_count=3,
    addresses=(URL,),
    camera="working",
    card_free_bytes=12_300_000_000,
    card_total_bytes=31_900_000_000,
)


@dataclass
class SickDoorbell(Doorbell):
    """A doorbell that says what the test wants."""

    shown: DoorStatus = field(default_factory=lambda: WELL)
    waits: list[object] = field(default_factory=list)  # type: ignore[assignment]

    def status(self) -> DoorStatus:
        return self.shown
