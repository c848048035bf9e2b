"""Wiring of alerts: bell, motion watch and event pictures.

button ─► bell ─┬─► event, push
luma ─► motion ─┼─► clip
                └─► picture of the event, sealed to the owners' browsers
events of a day ─► daily summary       every ten minutes ─► check-in (pushed if it falls silent)
"""

from firmware.app.bell import Bell
from firmware.app.camera import CameraWiring
from firmware.app.clips import ClipWiring
from firmware.app.household import Household
from firmware.app.link import RelayWay
from firmware.app.site import Site
from firmware.motion.watch import MotionWatch
from firmware.notes.check_ins import CHECK_IN_FILE, CheckIns
from firmware.notes.daily_summaries import DailySummaries
from firmware.notes.event_pictures import EventPictures, PictureSealer
from firmware.panel.doorstep import Doorstep
from firmware.system.supervision import Part
from firmware.transparency.public_record import PublicRecord


class Alerts:
    """Bell, motion watch and event pictures of one doorbell. Build it inside the running loop."""

    def __init__(
        self,
        site: Site,
        *,
        doorstep: Doorstep,
        filming: CameraWiring,
        recording: ClipWiring,
        household: Household,
        record: PublicRecord,
        relay: RelayWay,
    ) -> None:
        self._summaries = DailySummaries(
            device=site.keys.device,
            browsers=household.browsers,
            clock=site.clock,
            counts=relay.outbox,
            unread=record.requests,
            events=relay.events,
        )
        self._check_ins = CheckIns(
            device=site.keys.device,
            browsers=household.browsers,
            clock=site.clock,
            events=relay.events,
            link=relay.link,
            kept=site.config.data_dir / CHECK_IN_FILE,
        )
        self.pictures = EventPictures(
            filming,
            sealer=PictureSealer(
                device=site.keys.device, signer=site.keys.signer, household=household
            ),
            clock=site.clock,
            events=relay.events,
            link=relay.link,
        )
        self.pictures.taken.add(household.rings.pictured)
        self.motion = MotionWatch(
            site.config.motion,
            frames=filming.luma,
            recorder=recording.recorder,
            owners=household,
            events=household.pushes,
            pictures=self.pictures,
            sensor=doorstep.panel,
            pause_s=site.config.clips.post_roll_s,
        )
        self.bell = Bell(
            doorstep,
            boot=site.clock.boot_id,
            clock=site.clock,
            recorder=recording.recorder,
            owners=household,
            camera=filming,
            events=household.pushes,
            pictures=self.pictures,
        )
        self.parts: dict[str, Part] = {
            "motion": self.motion.run,
            "summaries": self._summaries.run,
            "check-ins": self._check_ins.run,
        }
