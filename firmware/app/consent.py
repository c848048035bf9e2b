"""Wiring of consent: requests and statements in, evidence packages out, and the local page.

    statement ─► intake (consent) ─► local page ─► public log ─► evidence ─► upload ─► bucket
    register ─► request intake ─► slot notes
    settings, microphone, players ─► notice for passers-by ─► relay

Only putting together belongs here.
"""

import asyncio

from firmware.app.camera import CameraWiring
from firmware.app.clips import ClipWiring
from firmware.app.household import Household
from firmware.app.knock import KnockWiring
from firmware.app.link import RelayWay
from firmware.app.owner_settings import DoorbellSettings
from firmware.app.site import Site
from firmware.capture.turn import shown_size
from firmware.decisions.clip_deletion import ClipDeletion
from firmware.decisions.clip_facts import ClipFactCollector
from firmware.decisions.door_number_alerts import DoorNumberAlerts
from firmware.decisions.executor import Executor
from firmware.decisions.exports import Exports
from firmware.decisions.facts import FactCollector
from firmware.decisions.first_pairing import FirstPairing
from firmware.decisions.holds import Holds
from firmware.decisions.intake import StatementIntake
from firmware.decisions.owner_recovery import OwnerRecovery
from firmware.decisions.package_sealer import PackageSealer
from firmware.decisions.replies import StatementReplies
from firmware.decisions.settings import HouseholdSettings
from firmware.decisions.uploads import Standings, Uploads
from firmware.enrolment.attempts import AttemptCounter
from firmware.enrolment.door_number import DoorNumber
from firmware.knock.pattern_store import KnockStore
from firmware.local_page.asked_requests import AskedRequests
from firmware.local_page.asked_service import LocalAskedService
from firmware.local_page.export_service import ExportService
from firmware.local_page.presenter import StatementPresenter
from firmware.local_page.release_tracker import ReleaseTracker
from firmware.outbox.bucket import Bucket
from firmware.outbox.deferred_events import DeferredEvents
from firmware.outbox.outgoing import Outgoing
from firmware.outbox.refusal_counts import RefusalCounts
from firmware.outbox.uploader import PARTS_AT_ONCE, Uploader
from firmware.panel.panel import Panel
from firmware.sound.sound_system import SoundWiring
from firmware.store.clip_choices import ClipChoices
from firmware.store.deferred_events import DeferredEventStore
from firmware.store.household import HouseholdStore
from firmware.store.statements import StatementStore
from firmware.system.supervision import Part
from firmware.transparency.door_notice import DoorNoticeKeeper, Recorded
from firmware.transparency.public_record import PublicRecord

LOOKED_AT_EVERY_S = 60.0
DUE_EVERY_S = 1.0
FORGOTTEN_MS = 60 * 24 * 3600 * 1000
"""Longer than a request and its renewal can stand."""


class ConsentWiring:
    """Intake, executor and uploads of one doorbell. Build it inside the running loop."""

    def __init__(
        self,
        site: Site,
        *,
        panel: Panel,
        filming: CameraWiring,
        sounding: SoundWiring,
        household: Household,
        recording: ClipWiring,
        record: PublicRecord,
        relay: RelayWay,
        promises: DeferredEvents,
        settings: DoorbellSettings,
    ) -> None:
        self._site = site
        self._settings = settings
        self._filming = filming
        self._people = household
        self._recording = recording
        self.record = record
        self._relay = relay
        self._promises = promises
        self._statements = StatementStore(recording.database)
        self._household = HouseholdStore(recording.database)
        self._outgoing = Outgoing(site.config.data_dir / "outgoing")
        self.door_number = DoorNumber(site.config.data_dir / "door.json", clock=site.clock)
        self.door_alerts = DoorNumberAlerts(
            door_number=self.door_number,
            notes=household.notes,
            owners=household.owners,
            browsers=household.browsers,
            clock=site.clock,
            door_url=site.config.door.url,
        )
        panel.service_pressed.add(self.door_alerts.on_service_pressed)
        household.orders.door_link_wanted.add(self.door_alerts.on_link_wanted)
        self._sounding = sounding
        self._choices = ClipChoices(recording.database)
        self._holding = Holds(
            household=self._household,
            statements=self._statements,
            library=recording.library,
            clock=site.clock,
        )
        self._refusal_counts = RefusalCounts(
            household=self._household,
            clock=site.clock,
            events=relay.events,
            chance=site.source,
        )
        self.uploads = self._open_uploads()
        relay.identity.marked.add(self.uploads.end_all)
        self._exports = Exports(
            site.config.data_dir / "exports.json",
            owners=household.owners,
            browsers=household.browsers,
            notes=household.notes,
            clock=site.clock,
        )
        self._deciding = self._make_deciding()
        self.recovering = self._make_recovering()
        self._deciding.on_recovery_key.add(self.recovering.on_keys)
        household.orders.serve_with(self._deciding)
        self.first_pairing = self._make_first_pairing()
        self._answers = self._make_answers()
        self._gathering = self._make_gathering()
        self._executor = self._make_executor()
        self.desk = StatementIntake(
            keys=site.keys,
            clock=site.clock,
            newcomers=household.newcomers,
            answers=self._answers,
            facts_store=self._statements,
            gathering=self._gathering,
            promises=promises,
            executor=self._executor,
        )
        self.showing = StatementPresenter(
            desk=self.desk,
            owners=household.owners,
            household=self._household,
            library=recording.library,
            playback=recording.playback,
            register=record,
            picture_size=shown_size(site.config.camera),
            file=settings,
        )
        self.progress = ReleaseTracker(
            statements=self._statements,
            household=self._household,
            outgoing=self._outgoing,
            register=record,
        )
        self.asked = self._make_asked()
        self._door_notice = self._make_door_notice()
        self.knocks = KnockStore(site.config.data_dir / "knock.json", clock=site.clock)
        self.knocking = KnockWiring(
            store=self.knocks,
            panel=panel,
            voice=sounding.speech,
            mouth=sounding.speaker,
            statements=self.desk,
            clock=site.clock,
        )

    @property
    def parts(self) -> dict[str, Part]:
        """The parts that run as long as the doorbell does."""
        return {
            "statements": self.keep_in_order,
            "releases": self.commit_releases,
            "door notice": self._door_notice.run,
            **self.record.parts,
        }

    async def take_settings(self) -> None:
        """Load the owners' settings from storage; before anything is filmed, for their masks.

        And for their recovery key, to which clips are sealed.
        """
        await self.recovering.start()
        await self._settings.start()

    async def start(self) -> None:
        """Resume statements, recoveries and deferred events of before the start."""
        await self.first_pairing.resume()
        await self.recovering.resume()
        await self.desk.resume()

    async def keep_in_order(self) -> None:
        """End holds, refuse expired statements, prune old records, until cancelled."""
        while True:
            await asyncio.to_thread(self._holding.apply)
            await self.desk.end_what_is_over()
            await self.uploads.go_on()
            await self._promises.flush()
            await self.first_pairing.resume()
            await self.recovering.resume()
            await self._deciding.notify_of_file()
            await self._exports.end_what_is_over()
            if self._site.clock.is_settled():  # a wrong time would forget a no, and ask again
                now_ms = self._site.clock.wall_ms()
                await asyncio.to_thread(
                    self._household.forget_declined_before, now_ms - FORGOTTEN_MS
                )
                await asyncio.to_thread(self.record.requests.forget_old)
                await self._refusal_counts.publish_due()
            await asyncio.sleep(LOOKED_AT_EVERY_S)

    async def commit_releases(self) -> None:
        """Commit to confirmed releases just before their batches' ends, until cancelled."""
        while True:
            await self.desk.commit_what_is_due()
            await asyncio.sleep(DUE_EVERY_S)

    # --- what is wired to what ---

    def _open_uploads(self) -> Uploads:
        """Return the uploads of sealed packages."""
        bucket = Bucket(self._site.enrolment.bucket_origin, parts_at_once=PARTS_AT_ONCE)
        uploader = Uploader(outgoing=self._outgoing, bucket=bucket, source=self._site.source)
        return Uploads(
            uploader=uploader,
            outgoing=self._outgoing,
            events=self._relay.events,
            standings=Standings(self._statements, self._household, self._relay.identity),
        )

    def _make_deciding(self) -> HouseholdSettings:
        """Return the part that carries out decisions other than grants."""
        return HouseholdSettings(
            admitting=self._people.admitting,
            owners=self._people.owners,
            household=self._household,
            holding=self._holding,
            deleting=ClipDeletion(
                library=self._recording.library, choices=self._choices, clock=self._site.clock
            ),
            exports=self._exports,
            notes=self._people.notes,
            clock=self._site.clock,
            promises=self._promises,
            settings_user=self._settings,
        )

    def _make_recovering(self) -> OwnerRecovery:
        """Return the recovery of access by the printed code."""
        return OwnerRecovery(
            device=self._site.keys.device,
            pairing=self._people.pairing,
            tries=AttemptCounter(
                self._site.config.data_dir / "recovery.json", clock=self._site.clock
            ),
            door_number=self.door_number,
            admitting=self._people.admitting,
            deciding=self._deciding,
            household=self._household,
            clock=self._site.clock,
            promises=self._promises,
            clips=self._recording,
        )

    def _make_first_pairing(self) -> FirstPairing:
        """Return the first pairing."""
        return FirstPairing(
            pairing=self._people.pairing,
            door_number=self.door_number,
            admitting=self._people.admitting,
            owners=self._people.owners,
            promise_store=DeferredEventStore(self._recording.database),
            promises=self._promises,
            clock=self._site.clock,
        )

    def _make_answers(self) -> StatementReplies:
        """Return the sender of replies about statements."""
        return StatementReplies(
            owners=self._people.owners,
            notes=self._people.notes,
            household=self._household,
            promises=self._promises,
            clock=self._site.clock,
            door_url=self._site.config.door.url,
        )

    def _make_door_notice(self) -> DoorNoticeKeeper:
        """Return the keeper of the notice for passers-by, which looks again at each change."""
        recorded = Recorded(
            settings=self._settings,
            camera=self._filming,
            microphone=self._sounding.microphone,
            browsers=self._people.browsers,
            picture_size=shown_size(self._site.config.camera),
        )
        keeper = DoorNoticeKeeper(
            recorded=recorded,
            store=self._household.door_notice,
            notes=self._people.notes,
            promises=self._promises,
            clock=self._site.clock,
        )
        self._settings.applied.add(keeper.look_again)
        self._sounding.changes.add(keeper.look_again)
        return keeper

    def _make_gathering(self) -> FactCollector:
        """Return the collector of facts that statements are judged by."""
        return FactCollector(
            identity=self._relay.identity,
            file=self._settings,
            clock=self._site.clock,
            record=self.record,
            owners=self._people.owners,
            browsers=self._people.browsers,
            newcomers=self._people.newcomers,
            statements=self._statements,
            household=self._household,
            clips=ClipFactCollector(
                library=self._recording.library,
                choices=self._choices,
                max_kept_bytes=self._site.config.clips.keep_bytes // 2,
            ),
        )

    def _make_executor(self) -> Executor:
        """Return the executor of decisions and grants."""
        return Executor(
            device=self._site.keys.device,
            clock=self._site.clock,
            answers=self._answers,
            facts_store=self._statements,
            gathering=self._gathering,
            deciding=self._deciding,
            promises=self._promises,
            releasing=self._make_releasing(),
        )

    def _make_releasing(self) -> PackageSealer:
        """Return the sealer of evidence packages."""
        return PackageSealer(
            keys=self._site.keys,
            certificate_pem=self._site.enrolment.evidence_certificate_pem.encode(),
            library=self._recording.library,
            playback=self._recording.playback,
            outgoing=self._outgoing,
            promises=self._promises,
            record=self.record,
            uploads=self.uploads,
        )

    def _make_asked(self) -> LocalAskedService:
        """Return the service for an owner's own program far from the door."""
        return LocalAskedService(
            desk=self.desk,
            showing=self.showing,
            requests=AskedRequests(
                desk=self.record.requests,
                register=self.record,
                showing=self.showing,
                library=self._recording.library,
                household=self._household,
                statements=self._statements,
                progress=self.progress,
                clock=self._site.clock,
            ),
            owners=self._people.owners,
            browsers=self._people.browsers,
            household=self._household,
            exports=ExportService(
                keys=self._site.keys,
                clock=self._site.clock,
                exports=self._exports,
                library=self._recording.library,
                choices=self._choices,
                household=self._household,
                statements=self._statements,
                owners=self._people.owners,
                browsers=self._people.browsers,
                file=self._settings,
            ),
        )
