"""Wiring of one enrolled doorbell, in the order in which data flows.

    camera ─► hub ─► ring ─┬─► recorder ─► library (sealed clips, index, retention)
    microphone ─► echo ────┤
      │                    └─► live view ─► WebRTC ─► owner
      ├► luma ─┬─► pairing code, Wi-Fi code ◄─ owner's app
      │        └─► motion ─► event, clip
      └► small ──► picture of an event, small stream
    button ─► event ─► outbox ─► link (MQTT) ─► relay          ─► clip

Only wiring belongs here. A part gets the objects that it calls through its constructor; its
announcements go through its public `Listeners`, which are joined where both ends exist.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from firmware.app.alerts import Alerts
from firmware.app.camera import CameraWiring
from firmware.app.clips import ClipWiring
from firmware.app.consent import ConsentWiring
from firmware.app.household import Household
from firmware.app.link import RelayWay
from firmware.app.live import LiveWiring
from firmware.app.local_page import LocalPageWiring
from firmware.app.owner_settings import DoorbellSettings
from firmware.app.public_record import followed_register, open_record
from firmware.app.site import Site
from firmware.app.upkeep import Upkeep
from firmware.config.settings import Config
from firmware.link.command_handlers import CommandRouter
from firmware.outbox.deferred_events import DeferredEvents
from firmware.panel.doorstep import Doorstep
from firmware.panel.light import LightState
from firmware.panel.status_light import StatusLight
from firmware.sound.sound_system import SoundWiring
from firmware.store.database import Database
from firmware.store.deferred_events import DeferredEventStore
from firmware.store.household import HouseholdStore
from firmware.system.supervision import LastResort, Part, keep_running

log = logging.getLogger(__name__)


class Doorbell:
    """All parts of one enrolled doorbell. Build it inside the running loop, then `run` it."""

    def __init__(self, site: Site, doorstep: Doorstep, end: LastResort) -> None:
        self._site, self._panel = site, (panel := doorstep.panel)
        config, clock = site.config, site.clock
        database = Database(config.data_dir / "library.sqlite3")
        self._relay = relay = RelayWay(site)
        promises = DeferredEvents(store=DeferredEventStore(database), events=relay.events)
        filming = CameraWiring.at(site, lamp=panel, restarter=end)
        sounding = SoundWiring(config.sound, config.data_dir, clock=clock, source=site.source)
        self.filming, self._sounding = filming, sounding
        self._household = household = Household(
            config.data_dir,
            keys=site.keys,
            clock=clock,
            events=relay.events,
            promises=promises,
            replies=sounding,
            register=followed_register(config),
        )
        record = open_record(site, database=database, household=household, relay=relay)
        self._recording = recording = ClipWiring(
            config,
            keys=site.keys,
            filming=filming,
            clock=clock,
            boot_id=site.boot_id,
            database=database,
            owners=household,
            events=relay.events,
            register=record,
            sound_feed=sounding.microphone,
        )
        sounding.changes.add(recording.on_sound_change)
        self._upkeep = upkeep = Upkeep(
            site,
            panel=panel,
            filming=filming,
            recording=recording,
            sounding=sounding,
            household=household,
            record=record,
            relay=relay,
        )
        self._alerts = alerts = Alerts(
            site,
            doorstep=doorstep,
            filming=filming,
            recording=recording,
            household=household,
            record=record,
            relay=relay,
        )
        alerts.motion.storms.add(upkeep.health.set_storm)
        self._settings = settings = DoorbellSettings(
            config,
            household=HouseholdStore(database),
            panel=panel,
            filming=filming,
            recording=recording,
            sounding=sounding,
            alerts=alerts,
            upkeep=upkeep,
            clock=clock,
        )
        self._consenting = ConsentWiring(
            site,
            panel=panel,
            filming=filming,
            sounding=sounding,
            household=household,
            recording=recording,
            record=record,
            relay=relay,
            promises=promises,
            settings=settings,
        )
        self._live = live = LiveWiring(
            site,
            filming=filming,
            recording=recording,
            sounding=sounding,
            household=household,
            asked=self._consenting.asked,
        )
        self._local_page = local_page = LocalPageWiring(
            site,
            panel=panel,
            filming=filming,
            household=household,
            recording=recording,
            sounding=sounding,
            relay=relay,
            upkeep=upkeep,
            consenting=self._consenting,
            live=live,
        )
        settings.serve_with(live)
        alerts.bell.rung.add(sounding.chime)
        alerts.bell.rung.add(live.unanswered.on_pressed)
        self._lighting = StatusLight(
            panel.light,
            pairing=household.pairing,
            wifi=upkeep.codes,
            clock=clock,
            live=live.sessions,
            recorder=recording.recorder,
            health=upkeep.health,
            check=local_page.check.window,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run all parts until `stop` is set; end them in good order."""
        consenting = self._consenting
        commands = CommandRouter(
            live=self._live.viewing,
            orders=self._household.orders,
            record=consenting.record,
            statements=consenting.desk,
            uploads=consenting.uploads,
            pairing=self._household.pairing_messages,
            identity=self._relay.identity,
        )
        parts: dict[str, Part] = {
            **self.filming.parts,
            **self._recording.parts,
            **self._upkeep.parts,
            **consenting.parts,
            "sound": self._sounding.run,
            **self._alerts.parts,
            **self._local_page.parts,
            "light": self._lighting.run,
            "link": partial(self._relay.link.run, commands),
        }
        self._relay.new_identity.enrolled.add(stop.set)
        self._relay.shard_move.ready.add(stop.set)
        await self._recording.recover()
        await consenting.take_settings()
        self._alerts.bell.start()
        running = [
            asyncio.create_task(keep_running(name, part, source=self._site.source), name=name)
            for name, part in parts.items()
        ]
        try:
            await consenting.start()
            await consenting.uploads.resume(self._relay.outbox.pending(10_000))
            self._panel.light.set(LightState.STARTING, False)
            log.info("doorbell ready, its own page is %s", self._site.config.door.url)
            await stop.wait()
        finally:
            await self._end(running)

    async def _end(self, running: list[asyncio.Task[None]]) -> None:
        self._relay.events.stop_retrying()
        await self._alerts.bell.close()
        await self._alerts.pictures.aclose()
        await self._household.pushes.aclose()
        await self._live.aclose()
        await self._consenting.knocking.desk.aclose()
        await self._sounding.aclose()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._upkeep.codes.aclose()  # until now a code could be read, and be told of
        await self.filming.keeper.stop()
        await asyncio.to_thread(self._relay.events.close)
        await self._recording.aclose()
        await asyncio.to_thread(self._site.clock.remember)
        self._relay.outbox.close()

    async def reload(self, read: Callable[[], Config]) -> None:
        """Read the settings again, and apply those that may change while running."""
        await self._settings.reload_file(read)
