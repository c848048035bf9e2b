"""What owners decide, put together: requests and statements in, evidence out, and the own page.

    register, statement ─► desk (consent) ─► own page ─► public log ─► evidence ─► upload ─► bucket

Only putting together belongs here.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import httpx2

from firmware.answers import Answers
from firmware.capture.source import Polygon
from firmware.clips.facts_store import FactsStore
from firmware.clips.household_store import HouseholdStore
from firmware.clock import SystemClock
from firmware.config import Config
from firmware.deciding import Deciding
from firmware.door import door_app, serve
from firmware.door.guard import own_origins
from firmware.enrolment.door_number import DoorNumber
from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.tries import Tries
from firmware.following.policy_file import load_logs_if_any
from firmware.gathering import Gathering
from firmware.holding import Holding
from firmware.household import Household
from firmware.outbox.bucket import Bucket
from firmware.outbox.outgoing import Outgoing
from firmware.outbox.refusal_counts import RefusalCounts
from firmware.outbox.upload import PARTS_AT_ONCE, Uploader
from firmware.own_page import AskedLine, Ear, HowItIs, KnockSwitch, OwnPage, Progress, Showing
from firmware.protocol.claims import Enrolment
from firmware.protocol.decisions import OwnerSettings
from firmware.public_record import PublicRecord
from firmware.recording import Recording
from firmware.recovering import Recovering
from firmware.releasing import Releasing
from firmware.slots import WaitingEvents
from firmware.statements import StatementDesk
from firmware.telling import Tell
from firmware.uploads import Uploads

LOOKED_AT_EVERY_S = 60.0
FORGOTTEN_MS = 60 * 24 * 3600 * 1000
"""Longer than a request and its renewal can stand."""


class Consenting:
    """Desk, own page and uploads of one doorbell. Build it inside the running loop."""

    def __init__(
        self,
        config: Config,
        *,
        keys: DeviceKeys,
        enrolment: Enrolment,
        clock: SystemClock,
        household: Household,
        recording: Recording,
        http: httpx2.AsyncClient,
        source: random.Random,
        events: WaitingEvents,
        tell: Tell,
        on_masks: Callable[[Sequence[Polygon]], Awaitable[None]],
        how_it_is: HowItIs,
        ear: Ear,
        knock: KnockSwitch,
    ) -> None:
        self._config, self._clock = config, clock
        outgoing = Outgoing(config.data_dir / "outgoing")
        statements = FactsStore(recording.database)
        self._household = HouseholdStore(recording.database)
        self._on_masks = on_masks
        self.record = PublicRecord(
            folder=config.data_dir / "register",
            device=keys.device,
            cell=config.place.cell,
            is_opted_in=config.place.is_opted_in,
            logs=load_logs_if_any(config.log.policy_path),
            log_url=enrolment.log_url,
            http=http,
            clock=clock,
            database=recording.database,
            statements=statements,
            household=self._household,
            browsers=household.browsers,
            notes=household.notes,
            events=events,
            tell=tell,
            has_owner=household.has_owner,
            source=source,
        )
        bucket = Bucket(enrolment.bucket_origin, parts_at_once=PARTS_AT_ONCE)
        uploader = Uploader(outgoing=outgoing, bucket=bucket, source=source)
        self.uploads = Uploads(uploader=uploader, outgoing=outgoing, tell=tell)
        self._holding = Holding(
            household=self._household,
            statements=statements,
            library=recording.library,
            clock=clock,
        )
        self._refusal_counts = RefusalCounts(
            household=self._household, clock=clock, tell=tell, chance=source
        )
        deciding = Deciding(
            admitting=household.admitting,
            owners=household.owners,
            household=self._household,
            holding=self._holding,
            notes=household.notes,
            clock=clock,
            tell=tell,
            take_back=lambda digest: self.desk.take_back(digest),
            on_settings=self._take_settings,
            on_recovery=lambda keys: self._recovering.on_keys(keys),
        )
        door_number = DoorNumber(config.data_dir / "door.json", monotonic_s=_seconds(clock))
        self._recovering = Recovering(
            device=keys.device,
            pairing=household.pairing,
            tries=Tries(config.data_dir / "recovery.json", monotonic_s=_seconds(clock)),
            door_number=door_number,
            admitting=household.admitting,
            deciding=deciding,
            household=self._household,
            notes=household.notes,
            clock=clock,
            tell=tell,
            seal_clips_to=recording.use_recovery_key,
        )
        self.desk = StatementDesk(
            keys=keys,
            clock=clock,
            owners=household.owners,
            answers=Answers(
                owners=household.owners,
                notes=household.notes,
                household=self._household,
                clock=clock,
                door_url=config.door.url,
            ),
            facts_store=statements,
            gathering=Gathering(
                device=keys.device,
                cell=config.place.cell,
                clock=clock,
                register=self.record.facts,
                policy=self.record.policy,
                custody_origin=self.record.custody_origin,
                owners=household.owners,
                browsers=household.browsers,
                statements=statements,
                household=self._household,
                library=recording.library,
            ),
            deciding=deciding,
            releasing=Releasing(
                keys=keys,
                certificate_pem=enrolment.certificate_pem.encode(),
                library=recording.library,
                playback=recording.playback,
                outgoing=outgoing,
                tell=tell,
                extract=self.record.extract,
                capture_proof=self.record.capture_proof,
                stop_sending=self.uploads.stop,
            ),
            tell=tell,
        )
        showing = Showing(
            desk=self.desk,
            owners=household.owners,
            household=self._household,
            library=recording.library,
            playback=recording.playback,
            register=self.record.facts,
        )
        self.asked = AskedLine(
            desk=self.desk,
            showing=showing,
            owners=household.owners,
            browsers=household.browsers,
            household=self._household,
        )
        self._page = OwnPage(
            keys=keys,
            desk=self.desk,
            pairing=household.pairing,
            recovering=self._recovering,
            owners=household.owners,
            admitting=household.admitting,
            door_number=door_number,
            library=recording.library,
            showing=showing,
            progress=Progress(
                statements=statements,
                household=self._household,
                outgoing=outgoing,
                register=self.record.facts,
            ),
            knock=knock,
            clock=clock,
            tell=tell,
            door_url=config.door.url,
            how_it_is=how_it_is,
            ear=ear,
        )

    async def serve_page(self) -> None:
        """Serve the doorbell's own page until cancelled."""
        door = self._config.door
        app = door_app(
            self._page,
            origins=own_origins(
                door.url, listen_host=door.listen_host, listen_port=door.listen_port
            ),
            clock=self._clock,
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
        """Take up what was confirmed before the start."""
        await self.desk.resume()

    async def keep_in_order(self) -> None:
        """Let holds end, refuse what is over, forget what is long past, until cancelled."""
        while True:
            await asyncio.to_thread(self._holding.apply)
            await self.desk.end_what_is_over()
            if self._clock.is_settled():  # a wrong time would forget a no, and ask again
                now_ms = self._clock.wall_ms()
                await asyncio.to_thread(
                    self._household.forget_declined_before, now_ms - FORGOTTEN_MS
                )
                await asyncio.to_thread(self.record.requests.forget_old)
                await self._refusal_counts.tell_due()
            await asyncio.sleep(LOOKED_AT_EVERY_S)

    async def _take_settings(self, settings: OwnerSettings) -> None:
        await self._on_masks(
            [tuple((x / 1000, y / 1000) for x, y in mask) for mask in settings.masks]
        )


def _seconds(clock: SystemClock) -> Callable[[], float]:
    return lambda: clock.monotonic_ns() / 1e9
