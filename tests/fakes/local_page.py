"""A doorbell for its own page that says what a test wants, and a browser in the home network."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta, timezone

import httpx2

from firmware.local_page.check_session import CheckSession
from firmware.local_page.guard import own_origins
from firmware.local_page.ports import (
    DoorbellStatus,
    DoorNumberAnswer,
    IdentityView,
    KnockView,
    Locked,
    MicrophoneView,
    Outcome,
    PairingView,
    Unlocked,
    WifiView,
    WrongNumber,
)
from firmware.local_page.views import (
    AgencyView,
    ApproverView,
    Asked,
    ClipView,
    GrantView,
    NewOwnerView,
    OwnerRemovalView,
    RecoveryView,
    ReleaseProgress,
    RightView,
    SettingChangeView,
    SettingsView,
    StatementView,
)
from firmware.local_page.web_app import door_app
from firmware.panel.pattern import PressKind
from tests.fakes.check_page import CheckedDoor
from tests.fakes.clock import ManualClock

URL = "http://localhost:8402"
DIGEST = "a" * 64
NUMBER = "493817"
MP4 = bytes(range(256)) * 4
CET = timezone(timedelta(hours=1), "CET")
WORDS = ("acorn", "bridge", "candle", "dune", "ember", "fern")
FOUR_WORDS = WORDS[:4]
CLIP = ClipView(
    from_ms=1_795_000_000_000,
    to_ms=1_795_000_012_000,
    is_whole=True,
    has_sound=False,
    time="trusted",
)
ASKED_GRANT = GrantView(
    agency="Lakeland <Police>",
    is_example=False,
    officer_name="R. Ek",
    cosigner_name="S. Alm",
    contact="+46 8 123",
    case_number="26-1234",
    incident_type="theft",
    text="A bicycle was taken.\n<script>alert(1)</script>",
    reason="",
    danger="",
    asked_from_ms=1_794_999_000_000,
    asked_to_ms=1_795_002_600_000,
    retention_days=30,
    onward_sharing="prosecutor",
    clips=(CLIP,),
    has_audio=False,
    given_name="",
    given_address="",
    given_contact="",
    key_fingerprints=("ab12cd34ab12cd34",),
    not_after_ms=1_795_050_000_000,
)

KNOCK = KnockView(is_on=False, has_speaker=True, tries_left=3, locked_for_s=0)


def asking(asked: Asked, digest: str = DIGEST) -> StatementView:
    """Return a statement of Maria's that waits."""
    return StatementView(
        digest=digest, signer_name="Maria", expires_ms=1_795_000_600_000, asked=asked
    )


GRANT = asking(ASKED_GRANT)
OTHERS: tuple[Asked, ...] = (
    NewOwnerView(name="Nils", words=FOUR_WORDS),
    OwnerRemovalView(name="Nils"),
    RightView(
        name="Maria's laptop",
        words=FOUR_WORDS,
        holder="guest",
        what=["live", "rings"],
        until_ms=1_790_000_000_000,
    ),
    AgencyView(name="Lakeland Police"),
    SettingsView(
        picture_size=(1280, 720),
        removed=[[(0, 0), (330, 0), (330, 1000), (0, 1000)]],
        kept=[[(700, 100), (900, 100), (900, 400), (700, 400)]],
        added=[],
        zones=[("Gate", [(100, 500), (400, 500), (400, 900)])],
        changes=[
            SettingChangeView(name="has_reminder", before=False, after=True, is_wider=False),
            SettingChangeView(name="keep_days", before=14, after=30, is_wider=True),
            SettingChangeView(name="zones", before=0, after=1, is_wider=False),
        ],
    ),
    RecoveryView(words=WORDS, is_first=True),
    ApproverView(name="Blue key", words=WORDS),
)
"""One of each kind but a grant."""
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
    """Implements DoorbellPort, and remembers what it was told."""

    view: PairingView = field(
        default_factory=lambda: PairingView(
            state="pressed",
            words=FOUR_WORDS,
            owner_name="Maria",
        )
    )
    waits: list[StatementView] = field(default_factory=lambda: [GRANT])
    outcome: Outcome = field(default_factory=lambda: Outcome(is_done=True))
    recovered: Outcome | WrongNumber | Locked = field(default_factory=lambda: Outcome(is_done=True))
    wrong_tries: int = 0
    changes: int = 0
    told: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    locked: Locked | None = None
    ear: MicrophoneView = EAR
    releases: list[ReleaseProgress] = field(default_factory=list)
    hand: KnockView = KNOCK
    clock: ManualClock = field(default_factory=ManualClock)
    is_cloned: bool = True
    wifi: WifiView = field(default_factory=lambda: WifiView(state="closed", is_paired=True))

    def __post_init__(self) -> None:
        self.checked = CheckedDoor(self, self.clock)

    @property
    def check(self) -> CheckSession:
        return self.checked.session

    def has_owner(self) -> bool:
        return self.view.state == "paired"

    def status(self) -> DoorbellStatus:
        return DoorbellStatus(
            device="e" * 20,
            is_paired=self.view.state in ("pressed", "paired"),
            is_online=True,
            is_clock_trusted=True,
            clip_count=3,
            addresses=(URL,),
            relay_url="https://relay.lakeland.example",
            register_origin="register.lakeland.example/log",
            policy_digest="5e" * 32,
        )

    def pairing_view(self) -> PairingView:
        return self.view

    async def complete_pairing(self, door_number: str) -> Outcome:
        self.told.append(f"pair {door_number}")
        self.view = PairingView(state="paired")
        return self.outcome

    async def recover(self, recovery: str, door_number: str) -> Outcome | WrongNumber | Locked:
        self.told.append(f"recover {len(recovery.split())} {door_number}")
        return self.recovered

    def wifi_view(self) -> WifiView:
        return self.wifi

    def choose_pairing(self) -> bool:
        self.told.append("pair instead")
        return self.wifi.may_pair

    async def waiting(self) -> list[StatementView]:
        return self.waits

    async def part(self, digest: str, number: int) -> bytes | None:
        clips = [
            clip
            for one in self.waits
            if one.digest == digest and isinstance(one.asked, GrantView)
            for clip in one.asked.clips
        ]
        return MP4 if 1 <= number <= len(clips) else None

    async def under_way(self) -> list[ReleaseProgress]:
        return [one for one in self.releases if one.stage in ("logging", "sealing")]

    async def progress(self, digest: str) -> ReleaseProgress | None:
        return next((one for one in self.releases if one.digest == digest), None)

    def number_changes(self) -> int:
        return self.changes

    async def check_door_number(self, number: str, link: str = "") -> DoorNumberAnswer:
        self.links.append(link)
        if self.locked is not None:
            return self.locked
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

    def identity(self) -> IdentityView:
        return IdentityView(is_cloned=self.is_cloned, relay_url="https://relay.test")

    async def take_identity(self, link: str) -> Outcome:
        self.told.append(f"identity {link}")
        return self.outcome

    def knock(self) -> KnockView:
        return self.hand

    async def choose_knock(self, presses: Sequence[PressKind]) -> Outcome:
        self.told.append(f"knock {' '.join(presses) or 'off'}")
        if self.outcome.is_done:
            self.hand = replace(self.hand, is_on=bool(presses))
        return self.outcome


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
    bell = Doorbell()
    clock = bell.clock
    app = door_app(
        bell, origins=own_origins(URL, listen_host="127.0.0.1", listen_port=8402),
        clock=clock, zone=CET,
    )  # fmt: skip
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url=URL) as web:
        yield Home(bell, clock, web)


WELL = DoorbellStatus(
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

    shown: DoorbellStatus = field(default_factory=lambda: WELL)
    waits: list[StatementView] = field(default_factory=list)

    def status(self) -> DoorbellStatus:
        return self.shown
