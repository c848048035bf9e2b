"""What owners decide, put together: requests and statements in, evidence out, and the own page.

    register, statement ─► desk (consent) ─► own page ─► public log ─► evidence ─► upload ─► bucket

Only putting together belongs here.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpx2

from firmware.app.clips import Recording
from firmware.app.household import Household
from firmware.config.polygon import Polygon
from firmware.config.settings import Config
from firmware.decisions.facts import Gathering
from firmware.decisions.first_pairing import FirstPairing
from firmware.decisions.holds import Holding
from firmware.decisions.intake import StatementDesk
from firmware.decisions.owner_recovery import Recovering
from firmware.decisions.package_sealer import Releasing
from firmware.decisions.replies import Answers
from firmware.decisions.settings import Deciding
from firmware.decisions.uploads import Uploads, standing_by
from firmware.enrolment.attempts import Tries
from firmware.enrolment.door_number import DoorNumber
from firmware.enrolment.keys import DeviceKeys
from firmware.fulfilling import Fulfilling
from firmware.local_page.asked_requests import AskedRequests
from firmware.local_page.asked_service import AskedLine
from firmware.local_page.doorbell_adapter import HowItIs, OwnPage
from firmware.local_page.guard import own_origins
from firmware.local_page.presenter import Showing
from firmware.local_page.release_tracker import Progress
from firmware.local_page.server import serve
from firmware.local_page.switches import Ear, KnockSwitch
from firmware.local_page.web_app import door_app
from firmware.outbox.bucket import Bucket
from firmware.outbox.deferred_events import Promises
from firmware.outbox.outgoing import Outgoing
from firmware.outbox.publisher import Tell
from firmware.outbox.refusal_counts import RefusalCounts
from firmware.outbox.uploader import PARTS_AT_ONCE, Uploader
from firmware.protocol.claims import Enrolment
from firmware.protocol.decisions import OwnerSettings
from firmware.store.deferred_events import PromiseStore
from firmware.store.household import HouseholdStore
from firmware.store.statements import FactsStore
from firmware.system.clock import SystemClock
from firmware.transparency.policy_file import load_logs_if_any
from firmware.transparency.public_record import PublicRecord
from firmware.transparency.slots import WaitingEvents

LOOKED_AT_EVERY_S = 60.0
FORGOTTEN_MS = 60 * 24 * 3600 * 1000
"""Longer than a request and its renewal can stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """What is used here of the doorbell."""

    config: Config
    keys: DeviceKeys
    enrolment: Enrolment
    clock: SystemClock
    household: Household
    recording: Recording
    http: httpx2.AsyncClient
    source: random.Random
    events: WaitingEvents
    tell: Tell
    promises: Promises
    on_masks: Callable[[Sequence[Polygon]], Awaitable[None]]


class Consenting:
    """Desk, own page and uploads of one doorbell. Build it inside the running loop."""

    def __init__(
        self, near: Neighbours, *, how_it_is: HowItIs, ear: Ear, knock: KnockSwitch
    ) -> None:
        self._near = near
        self._statements = FactsStore(near.recording.database)
        self._household = HouseholdStore(near.recording.database)
        self._outgoing = Outgoing(near.config.data_dir / "outgoing")
        self._door_number = DoorNumber(
            near.config.data_dir / "door.json", monotonic_s=_seconds(near.clock)
        )
        self._holding = Holding(
            household=self._household,
            statements=self._statements,
            library=near.recording.library,
            clock=near.clock,
        )
        self._refusal_counts = RefusalCounts(
            household=self._household, clock=near.clock, tell=near.tell, chance=near.source
        )
        self.record = self._open_record()
        self.uploads = self._open_uploads()
        self._deciding = self._make_deciding()
        self._recovering = self._make_recovering()
        self._first_pairing = self._make_first_pairing()
        self._answers = self._make_answers()
        self._gathering = self._make_gathering()
        self._fulfilling = self._make_fulfilling()
        self.desk = StatementDesk(
            keys=near.keys,
            clock=near.clock,
            answers=self._answers,
            facts_store=self._statements,
            gathering=self._gathering,
            promises=near.promises,
            fulfilling=self._fulfilling,
        )
        self._showing = Showing(
            desk=self.desk,
            owners=near.household.owners,
            household=self._household,
            library=near.recording.library,
            playback=near.recording.playback,
            register=self.record.facts,
        )
        self._progress = Progress(
            statements=self._statements,
            household=self._household,
            outgoing=self._outgoing,
            register=self.record.facts,
        )
        self.asked = self._make_asked()
        self._page = self._make_page(how_it_is, ear, knock)

    async def serve_page(self) -> None:
        """Serve the doorbell's own page until cancelled."""
        door = self._near.config.door
        app = door_app(
            self._page,
            origins=own_origins(
                door.url, listen_host=door.listen_host, listen_port=door.listen_port
            ),
            clock=self._near.clock,
            example_town=self.record.example_town,
        )
        await serve(app, door.listen_host, door.listen_port)

    async def take_settings(self) -> None:
        """Take the owners' settings from the card; before anything is filmed, for their masks.

        And for their recovery key, to which clips are sealed.
        """
        await self._recovering.start()
        settings = await asyncio.to_thread(self._household.settings)
        if settings is not None:
            await self._take_settings(settings)

    async def start(self) -> None:
        """Take up what was begun, promised or confirmed before the start."""
        await self._first_pairing.resume()
        await self._recovering.resume()
        await self.desk.resume()

    async def keep_in_order(self) -> None:
        """Let holds end, refuse what is over, forget what is long past, until cancelled."""
        while True:
            await asyncio.to_thread(self._holding.apply)
            await self.desk.end_what_is_over()
            await self.uploads.go_on()
            await self._near.promises.keep()
            await self._first_pairing.resume()
            await self._recovering.resume()
            if self._near.clock.is_settled():  # a wrong time would forget a no, and ask again
                now_ms = self._near.clock.wall_ms()
                await asyncio.to_thread(
                    self._household.forget_declined_before, now_ms - FORGOTTEN_MS
                )
                await asyncio.to_thread(self.record.requests.forget_old)
                await self._refusal_counts.tell_due()
            await asyncio.sleep(LOOKED_AT_EVERY_S)

    async def _take_settings(self, settings: OwnerSettings) -> None:
        await self._near.on_masks(
            [tuple((x / 1000, y / 1000) for x, y in mask) for mask in settings.masks]
        )

    # --- what is wired to what ---

    def _open_record(self) -> PublicRecord:
        """Both public logs: what is read of them, and what this doorbell writes into them."""
        near = self._near
        return PublicRecord(
            folder=near.config.data_dir / "register",
            device=near.keys.device,
            signer=near.keys.signer,
            cell=near.config.place.cell,
            is_opted_in=near.config.place.is_opted_in,
            logs=load_logs_if_any(near.config.log.policy_path),
            log_url=near.enrolment.log_url,
            http=near.http,
            clock=near.clock,
            database=near.recording.database,
            statements=self._statements,
            household=self._household,
            browsers=near.household.browsers,
            notes=near.household.notes,
            events=near.events,
            tell=near.tell,
            has_owner=near.household.has_owner,
            source=near.source,
        )

    def _open_uploads(self) -> Uploads:
        """The way of sealed packages to the bucket."""
        near = self._near
        bucket = Bucket(near.enrolment.bucket_origin, parts_at_once=PARTS_AT_ONCE)
        uploader = Uploader(outgoing=self._outgoing, bucket=bucket, source=near.source)
        return Uploads(
            uploader=uploader,
            outgoing=self._outgoing,
            tell=near.tell,
            standing=standing_by(self._statements, self._household),
        )

    def _make_deciding(self) -> Deciding:
        """What carries out a decision that is none about footage."""
        near = self._near
        return Deciding(
            admitting=near.household.admitting,
            owners=near.household.owners,
            household=self._household,
            holding=self._holding,
            notes=near.household.notes,
            clock=near.clock,
            tell=near.promises.tell,
            take_back=lambda digest: self._fulfilling.take_back(digest),
            on_settings=self._take_settings,
            on_recovery=lambda keys: self._recovering.on_keys(keys),
        )

    def _make_recovering(self) -> Recovering:
        """What lets an owner in again by the printed code."""
        near = self._near
        return Recovering(
            device=near.keys.device,
            pairing=near.household.pairing,
            tries=Tries(near.config.data_dir / "recovery.json", monotonic_s=_seconds(near.clock)),
            door_number=self._door_number,
            admitting=near.household.admitting,
            deciding=self._deciding,
            household=self._household,
            notes=near.household.notes,
            clock=near.clock,
            promises=near.promises,
            seal_clips_to=near.recording.use_recovery_key,
        )

    def _make_first_pairing(self) -> FirstPairing:
        """What makes somebody the first owner."""
        near = self._near
        return FirstPairing(
            pairing=near.household.pairing,
            door_number=self._door_number,
            admitting=near.household.admitting,
            owners=near.household.owners,
            promise_store=PromiseStore(near.recording.database),
            promises=near.promises,
            clock=near.clock,
        )

    def _make_answers(self) -> Answers:
        """What owners are told of their statements."""
        near = self._near
        return Answers(
            owners=near.household.owners,
            notes=near.household.notes,
            household=self._household,
            promises=near.promises,
            clock=near.clock,
            door_url=near.config.door.url,
        )

    def _make_gathering(self) -> Gathering:
        """All facts that statements are judged by, of one moment."""
        near = self._near
        return Gathering(
            device=near.keys.device,
            cell=near.config.place.cell,
            clock=near.clock,
            register=self.record.facts,
            policy=self.record.policy,
            custody_origin=self.record.custody_origin,
            owners=near.household.owners,
            browsers=near.household.browsers,
            statements=self._statements,
            household=self._household,
            library=near.recording.library,
        )

    def _make_fulfilling(self) -> Fulfilling:
        """What takes a decision to its effect, and a grant to its release."""
        near = self._near
        return Fulfilling(
            device=near.keys.device,
            clock=near.clock,
            answers=self._answers,
            facts_store=self._statements,
            gathering=self._gathering,
            deciding=self._deciding,
            promises=near.promises,
            releasing=self._make_releasing(),
            tell=near.tell,
        )

    def _make_releasing(self) -> Releasing:
        """What seals a package for its agency and queues it."""
        near = self._near
        return Releasing(
            keys=near.keys,
            certificate_pem=near.enrolment.certificate_pem.encode(),
            library=near.recording.library,
            playback=near.recording.playback,
            outgoing=self._outgoing,
            tell=near.promises.tell,
            extract=self.record.extract,
            capture_proof=self.record.capture_proof,
            end_sending=self.uploads.end,
            stop_sending=self.uploads.stop,
        )

    def _make_asked(self) -> AskedLine:
        """What an owner's own program is told, far from the door."""
        near = self._near
        return AskedLine(
            desk=self.desk,
            showing=self._showing,
            requests=AskedRequests(
                desk=self.record.requests,
                register=self.record.facts,
                showing=self._showing,
                library=near.recording.library,
                household=self._household,
                statements=self._statements,
                progress=self._progress,
                clock=near.clock,
            ),
            owners=near.household.owners,
            browsers=near.household.browsers,
            household=self._household,
        )

    def _make_page(self, how_it_is: HowItIs, ear: Ear, knock: KnockSwitch) -> OwnPage:
        """The doorbell's own page on the home network, as far as it decides anything."""
        near = self._near
        return OwnPage(
            keys=near.keys,
            desk=self.desk,
            pairing=near.household.pairing,
            first_pairing=self._first_pairing,
            recovering=self._recovering,
            owners=near.household.owners,
            door_number=self._door_number,
            library=near.recording.library,
            showing=self._showing,
            progress=self._progress,
            knock=knock,
            clock=near.clock,
            door_url=near.config.door.url,
            how_it_is=how_it_is,
            ear=ear,
        )


def _seconds(clock: SystemClock) -> Callable[[], float]:
    return lambda: clock.monotonic_ns() / 1e9
