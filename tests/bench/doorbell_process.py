"""A doorbell without its encoder, as a process of its own, for D11 and D13.

    python -m tests.bench.doorbell_process FOLDER FILM WIDTH HEIGHT RING_S

All code of `doorward-firmware run` is loaded. What runs: camera keeper, hubs, ring, recorder with
vault, library and thumbnails, motion on ten luma frames a second, outbox, live view, health. The
camera is `EncodedSource`, whose film was encoded before. What doesn't run: the encoder,
the link to the relay and the own page's server, which wait for somebody else almost all the time.

Hears `offer` and `press`, ends with its input. Says `first_unit_ns` (monotonic), `answer`, and
`clips` at the end.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import firmware.app.enrolled  # all that the doorbell's own program loads
import firmware.live.peer  # noqa: F401  # and loads later
from firmware.app.clips import ClipWiring
from firmware.capture.camera_keeper import CameraKeeper
from firmware.capture.camera_output import AccessUnit, pts_90k_of
from firmware.capture.rescue import Rescue
from firmware.capture.unit_hub import LumaHub, SmallHub, UnitHub
from firmware.clips.ring import Ring
from firmware.config.loader import parse_config
from firmware.config.settings import Config
from firmware.enrolment.browsers import EnrolledBrowser
from firmware.enrolment.keys import load_or_make_keys
from firmware.health.ladder import HeatLadder
from firmware.health.linux import LinuxBoard
from firmware.health.monitor import HealthMonitor
from firmware.health.reporter import TroubleReporter
from firmware.health.troubles import Troubles
from firmware.live.nonces import Nonces
from firmware.live.quality import live_sources
from firmware.live.sdp_answer import AnswerSigner
from firmware.live.session_parts import LiveLimits
from firmware.live.sessions import LiveSessions, RealPeers
from firmware.live.signature_checks import SignatureChecks
from firmware.motion.watch import MotionWatch
from firmware.outbox.publisher import EventWriter
from firmware.outbox.queue import Outbox
from firmware.protocol.encoding import new_id
from firmware.protocol.events import Pressed
from firmware.protocol.live import LiveAnswer, LiveOffer, parse_unverified
from firmware.protocol.media.rotation import Rotation
from firmware.store.database import Database
from firmware.system.clock import SystemClock
from firmware.system.supervision import LastResort
from firmware.system.systemd import ServiceManager
from firmware.system.uptime import BoardUptime
from tests.bench.encoded_source import FPS, EncodedSource
from tests.fakes.events import NoPictures
from tests.fakes.ownership import Owned
from tests.story.browser import SoftBrowser

T = TypeVar("T")
RING_MAX_BYTES = 64_000_000
KEEP_BYTES = 200_000_000
BITRATE_BPS = 4_000_000
"""About what the film has; nothing but the judging of a viewer's line asks for it."""
SHORTEST_CLIP_S = 15.0
"""So that clips end, are signed and get their thumbnail while it is measured."""


class EncodedFilming:
    """What `firmware.app.camera.CameraWiring` is, with that camera."""

    def __init__(self, source: EncodedSource, config: Config, clock: SystemClock) -> None:
        loop = asyncio.get_running_loop()
        self._has_begun = False
        self.size = (source.width, source.height)
        self.rotation: Rotation = 0
        self.ring = Ring(pre_roll_s=config.clips.pre_roll_s, max_bytes=config.clips.ring_max_bytes)
        self.hub = UnitHub(self, loop)
        self.luma = LumaHub(loop)
        self.keeper = CameraKeeper(
            source,
            units=self.hub,
            luma=self.luma,
            small=SmallHub(loop),
            clock=clock,
            rescue=Rescue(
                config.data_dir / "rescue.json", boot="", uptime=BoardUptime(), may_reboot=False
            ),
            restarter=LastResort(asyncio.Event(), ServiceManager({}, pid=1)),
            random_source=random.Random(),
            bitrate_bps=BITRATE_BPS,
        )

    def add(self, unit: AccessUnit) -> None:
        self.ring.add(unit)
        if not self._has_begun:
            self._has_begun = True
            say(first_unit_ns=time.monotonic_ns())

    def newest_gop(self) -> Sequence[AccessUnit]:
        return self.ring.newest_gop()


async def run(given: argparse.Namespace) -> None:
    """Be the doorbell until the input ends."""
    config = parse_config(
        {
            "camera": {"width": given.width, "height": given.height},
            "clips": {
                "pre_roll_s": given.ring_s,
                "longest_s": SHORTEST_CLIP_S,
                "ring_max_bytes": RING_MAX_BYTES,
                "keep_bytes": KEEP_BYTES,
                "min_free_bytes": 0,
            },
            "clock": {"is_host_time_trusted": True},
        },
        given.folder,
    )
    clock = SystemClock(is_host_time_trusted=True)
    keys = load_or_make_keys(config.data_dir)
    outbox = Outbox(config.data_dir / "outbox.sqlite3", keys.device, boot=clock.boot_id)
    teller = EventWriter(outbox, clock)
    source = EncodedSource(given.film, given.width, given.height)
    filming = EncodedFilming(source, config, clock)
    recording = ClipWiring(
        config,
        keys=keys,
        filming=filming,  # type: ignore[arg-type]
        clock=clock,
        boot_id=new_id(),
        database=Database(config.data_dir / "library.sqlite3"),
        owners=Owned(),
        events=teller,
    )
    reporter = TroubleReporter(
        Troubles(), camera=filming.keeper, events=teller, owners=Owned(), clock=clock
    )
    health = HealthMonitor(
        board=LinuxBoard(config.data_dir),
        camera=filming.keeper,
        clips=recording,
        ladder=HeatLadder(FPS),
        reporter=reporter,
        clock=clock,
    )
    recording.recorder.card_states.add(health.set_card)
    motion = MotionWatch(
        config.motion,
        frames=filming.luma,
        recorder=recording.recorder,
        owners=Owned(),
        events=teller,
        pictures=NoPictures(),
        sensor=NoSensor(),
        pause_s=config.clips.post_roll_s,
    )
    motion.storms.add(health.set_storm)
    live = SignedOffers(config.data_dir, filming, recording, clock)
    parts = [filming.keeper.run, recording.recorder.run, motion.run, health.run]
    running = [asyncio.create_task(part()) for part in parts]
    await _obey(live, recording, teller, clock)
    await live.aclose()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await filming.keeper.stop()
    teller.close()
    await recording.aclose()
    say(clips=recording.library.count())


@dataclass(frozen=True)
class Somebody:
    """An owner, as far as live view knows one."""

    name: str = "Owner"


class Known(Generic[T]):
    """Implements `firmware.live.signature_checks.KnownBrowsers` and `KnownOwners`: each id finds
    the same."""

    def __init__(self, found: T) -> None:
        self._found = found

    def find(self, _id: str) -> T:
        return self._found


class NoSensor:
    """Implements `firmware.motion.watch.PresenceSensor`."""

    def presence(self) -> bool | None:
        return None


class SignedOffers:
    """Live view as it is, and the owner's browser, which signs what the viewer offers."""

    def __init__(
        self, data_dir: Path, filming: "EncodedFilming", recording: ClipWiring, clock: SystemClock
    ) -> None:
        keys = load_or_make_keys(data_dir)
        self._device = keys.device
        self._browser = SoftBrowser.create()
        enrolled = EnrolledBrowser(keys=self._browser.keys, credential_id="", expires_ms=None)
        self._checks = SignatureChecks(
            device=keys.device,
            nonces=Nonces(clock=clock),
            browsers=Known(enrolled),
            owners=Known(Somebody()),
            clock=clock,
        )
        self._live = LiveSessions(
            sources=live_sources(filming.hub.late, filming.keeper, None),
            shelf=recording.shelf,
            checks=self._checks,
            signer=AnswerSigner(keys.signer, device=keys.device, clock=clock),
            clock=clock,
            peers=RealPeers(clock, random.SystemRandom()),
            limits=LiveLimits(max_viewers=1),
        )

    async def answer(self, sdp: str) -> str:
        """Return the SDP that answers a viewer's."""
        offer = LiveOffer(
            device=self._device,
            session_id=new_id(),
            nonce=self._checks.give_nonce(),
            browser=self._browser.keys.id,
            purpose="live",
            sdp=sdp,
        )
        signed = await self._live.answer(offer.session_id, self._browser.sign(offer))
        return parse_unverified(LiveAnswer, signed).sdp

    async def aclose(self) -> None:
        """End all sessions."""
        await self._live.aclose()


async def _obey(
    live: "SignedOffers", recording: ClipWiring, teller: EventWriter, clock: SystemClock
) -> None:
    reader = asyncio.StreamReader(limit=1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async for line in reader:
        said = json.loads(line)
        if "offer" in said:
            say(answer=await live.answer(said["offer"]))
        if "press" in said:
            at_90k = pts_90k_of(clock.monotonic_ns())
            event = await teller.publish(Pressed())
            recording.recorder.trigger(event.id, "pressed", at_90k)


def say(**words: object) -> None:
    """Say one line to who started this."""
    print(json.dumps(words), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.doorbell_process", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("film", type=Path)
    parser.add_argument("width", type=int)
    parser.add_argument("height", type=int)
    parser.add_argument("ring_s", type=float)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
