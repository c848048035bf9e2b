"""Wiring of health monitor, clock watch and code watch.

board, camera, storage, sound, register ─► health ─► relay; troubles ─► events
clock ─► events, clips and browsers that were made before the time was known
codes before the camera ─► pairing, another Wi-Fi network
"""

from firmware.app.camera import CameraWiring
from firmware.app.clips import ClipWiring
from firmware.app.code_watch import CodeWatch
from firmware.app.household import Household
from firmware.app.link import RelayWay
from firmware.app.site import Site
from firmware.health.clock_watch import ClockWatch
from firmware.health.ladder import HeatLadder
from firmware.health.linux import LinuxBoard
from firmware.health.monitor import HealthMonitor
from firmware.health.reporter import TroubleReporter
from firmware.health.troubles import Troubles
from firmware.panel.panel import Panel
from firmware.sound.sound_system import SoundWiring
from firmware.transparency.public_record import PublicRecord


class Upkeep:
    """Health monitor, clock watch and code watch of one doorbell."""

    def __init__(
        self,
        site: Site,
        *,
        panel: Panel,
        filming: CameraWiring,
        recording: ClipWiring,
        sounding: SoundWiring,
        household: Household,
        record: PublicRecord,
        relay: RelayWay,
    ) -> None:
        reporter = TroubleReporter(
            Troubles(kept_in=site.config.data_dir / "troubles.json"),
            camera=filming.keeper,
            events=relay.events,
            owners=household,
            clock=site.clock,
        )
        self.health = HealthMonitor(
            board=LinuxBoard(site.config.data_dir),
            camera=filming.keeper,
            clips=recording,
            ladder=HeatLadder(site.config.camera.fps),
            reporter=reporter,
            clock=site.clock,
            sound=sounding,
            sources=[record, relay.renewal, relay.identity],
            gaps_reported=site.config.health.gaps_reported,
        )
        self.health.published.add(relay.link.set_health)
        filming.keeper.states.add(self.health.check_now)
        recording.recorder.card_states.add(self.health.set_card)
        self.clock_watch = ClockWatch(
            clock=site.clock,
            outbox=relay.outbox,
            events=relay.events,
            undated=[household, recording],
        )
        relay.identity.marked.add(self.health.check_now)
        self.codes = CodeWatch(
            site,
            panel=panel,
            filming=filming,
            sounding=sounding,
            household=household,
            events=relay.events,
        )
        self.parts = {
            "health": self.health.run,
            "clock": self.clock_watch.run,
            "renewal": relay.renewal.run,
            **self.codes.parts,
        }
