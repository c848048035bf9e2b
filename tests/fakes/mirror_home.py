"""A doorbell that records real clips, and a mirror of them on another machine."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.clips.record import ClipRecord
from firmware.companion.viewer.clip_requests import CLIPS_LABEL
from firmware.companion.viewer.connection import open_connection
from firmware.companion.viewer.gateway import Gateway
from firmware.companion.viewer.mirror.copies import Copies, Limits
from firmware.companion.viewer.mirror.mirror import Mirror, MirrorLine
from firmware.companion.viewer.mirror.progress import Kind, Progress
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.enrolment.keys import load_or_make_keys
from firmware.live.clip_source import LibraryClips
from firmware.live.feed import ClipFile, ClipSummary
from firmware.protocol.rights import SELF_RENEWED_MS, Right, What
from tests.fakes.home_gateway import HomeClock, setup_of
from tests.fakes.porch import Porch, porch
from tests.fakes.recorder import RecordingRig, running
from tests.fakes.straight_relay import StraightRelay


class CountingClips(LibraryClips):
    """The doorbell's clips; counts what it is made to do for them."""

    def __init__(self, rig: RecordingRig) -> None:
        super().__init__(rig.library, rig.playback)
        self.read: list[str] = []
        self.listed = 0

    def newest(self, limit: int, skip: int = 0) -> Sequence[ClipSummary]:
        self.listed += 1
        return super().newest(limit, skip)

    async def plain_mp4(self, clip_id: str) -> ClipFile | None:
        self.read.append(clip_id)
        return await super().plain_mp4(clip_id)


class OwnersKey:
    """The key pair that opens copies."""

    def __init__(self) -> None:
        key = X25519PrivateKey.generate()
        self.private = key.private_bytes_raw()
        self.public = key.public_key().public_bytes_raw()


@dataclass
class MirrorHome:
    """The doorbell, the player that mirrors, and what it said."""

    rig: RecordingRig
    clips: CountingClips
    here: Porch
    relay: StraightRelay
    gateway: Gateway
    keys: PlayerKeys
    clock: HomeClock
    folder: Path
    owner: OwnersKey = field(default_factory=OwnersKey)
    told: list[Progress] = field(default_factory=list)

    async def record(self) -> ClipRecord:
        """Film a visitor: press, and wait until the recording is finished."""
        await self.rig.film(1)
        self.rig.press()
        await self.rig.film(4)
        record = await self.rig.next_clip()
        await self.rig.film(3)
        return record

    def give(self, *what: What, until_ms: int | None = None) -> None:
        """Give the player another right."""
        now_ms = self.clock.wall_ms()
        right = Right(
            holder="player",
            what=sorted(what),
            from_ms=0,
            until_ms=until_ms or now_ms + SELF_RENEWED_MS,
        )
        owner = self.here.owners.owners[0].passkey.credential_id
        self.here.browsers.give(self.keys.public, owner, right, now_ms)

    def open_copies(self, *, to: bool = True) -> Copies:
        return Copies(
            self.folder,
            identity_spki=self.here.keys.signer.spki,
            recipient=self.owner.public if to else None,
            now_ms=self.clock.wall_ms(),
        )

    def open_line(self) -> AbstractAsyncContextManager[MirrorLine]:
        return open_connection(self.gateway, CLIPS_LABEL)

    def mirror(self, copies: Copies, limits: Limits | None = None, **seams: object) -> Mirror:
        """Return a mirror; `seams` replace its line or its sleep."""
        named: dict[str, object] = {"open_line": self.open_line, **seams}
        return Mirror(
            copies,
            identity_spki=self.here.keys.signer.spki,
            limits=limits or Limits(),
            clock=self.clock,
            report=self.told.append,
            **named,  # type: ignore[arg-type]
        )

    async def mirror_once(self, limits: Limits | None = None) -> int:
        """Copy what is missing; return how many were skipped."""
        copies = self.open_copies()
        try:
            return await self.mirror(copies, limits).run_once()
        finally:
            copies.close()

    def told_of(self, kind: Kind) -> list[Progress]:
        return [one for one in self.told if one.kind == kind]

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.dwcopy"))


@asynccontextmanager
async def mirror_home(
    folder: Path, *, what: Sequence[What] = ("history",), **doorbell: object
) -> AsyncIterator[MirrorHome]:
    """Run both; `doorbell` goes to `tests.fakes.porch.porch`."""
    keys = load_or_make_keys(folder / "keys")
    async with running(RecordingRig(folder, signer=keys.signer, device=keys.device)) as rig:
        rig.clock.set_wall_ms(time.time_ns() // 1_000_000 - 3_600_000)
        clips = CountingClips(rig)
        async with porch(shelf=clips, keys=keys, **doorbell) as here:  # type: ignore[arg-type]
            player, clock, relay = PlayerKeys.make("Cellar"), HomeClock(), StraightRelay(here)
            gateway = Gateway(
                keys=player, setup=setup_of(here), relay=relay, clock=clock, purpose="mirror"
            )
            home = MirrorHome(rig, clips, here, relay, gateway, player, clock, folder / "mirror")
            home.give(*what)
            try:
                yield home
            finally:
                await gateway.aclose()
