"""What owners decide, put together: requests and statements in, evidence out, and the own page.

    request, statement ─► desk (consent) ─► own page ─► evidence ─► upload ─► bucket

Only putting together belongs here.
"""

import asyncio
import random

import httpx2

from firmware.clips.facts_store import FactsStore
from firmware.clock import Clock
from firmware.config import Config
from firmware.door import door_app, serve
from firmware.door.guard import own_origins
from firmware.enrolment.door_number import DoorNumber
from firmware.enrolment.keys import DeviceKeys
from firmware.household import Household
from firmware.outbox.outgoing import Outgoing
from firmware.outbox.upload import Uploader
from firmware.own_page import Ear, HowItIs, OwnPage
from firmware.protocol.claims import Enrolment
from firmware.recording import Recording
from firmware.releasing import Releasing
from firmware.request_desk import RequestDesk
from firmware.statements import StatementDesk
from firmware.telling import Tell
from firmware.uploads import Uploads

REQUESTS_FORGOTTEN_EVERY_S = 600.0


class Consenting:
    """Desk, own page and uploads of one doorbell. Build it inside the running loop."""

    def __init__(
        self,
        config: Config,
        *,
        keys: DeviceKeys,
        enrolment: Enrolment,
        clock: Clock,
        household: Household,
        recording: Recording,
        http: httpx2.AsyncClient,
        source: random.Random,
        tell: Tell,
        how_it_is: HowItIs,
        ear: Ear,
    ) -> None:
        self._config, self._clock = config, clock
        outgoing = Outgoing(config.data_dir / "outgoing")
        facts_store = FactsStore(recording.database)
        self.requests = RequestDesk(
            enrolment=enrolment,
            cell=config.place.cell,
            is_opted_in=config.place.is_opted_in,
            clock=clock,
            owners=household.owners,
            notes=household.notes,
            facts_store=facts_store,
        )
        self.desk = StatementDesk(
            keys=keys,
            enrolment=enrolment,
            cell=config.place.cell,
            door_url=config.door.url,
            clock=clock,
            owners=household.owners,
            browsers=household.browsers,
            admitting=household.admitting,
            notes=household.notes,
            requests=self.requests,
            facts_store=facts_store,
            library=recording.library,
            releasing=Releasing(
                keys=keys,
                certificate_pem=enrolment.certificate_pem.encode(),
                library=recording.library,
                playback=recording.playback,
                outgoing=outgoing,
            ),
            tell=tell,
        )
        uploader = Uploader(
            outgoing=outgoing, bucket_origin=enrolment.bucket_origin, http=http, source=source
        )
        self.uploads = Uploads(uploader=uploader, outgoing=outgoing, tell=tell)
        self._page = OwnPage(
            device=keys.device,
            desk=self.desk,
            requests=self.requests,
            pairing=household.pairing,
            owners=household.owners,
            admitting=household.admitting,
            door_number=DoorNumber(
                config.data_dir / "door.json", monotonic_s=lambda: clock.monotonic_ns() / 1e9
            ),
            library=recording.library,
            shelf=recording.shelf,
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

    async def forget_requests(self) -> None:
        """Forget the requests that are over, now and then, until cancelled."""
        while True:
            await asyncio.to_thread(self.requests.forget_old)
            await asyncio.sleep(REQUESTS_FORGOTTEN_EVERY_S)
