"""Wiring of the doorbell's own page on the home network, and of the check page's window.

page ─┬─► statements, pairing, Wi-Fi, door number, knock, microphone, identity
      └─► check page's window ─► recorder, ring, event pictures: paused
"""

from firmware.app.camera import CameraWiring
from firmware.app.clips import ClipWiring
from firmware.app.consent import ConsentWiring
from firmware.app.household import Household
from firmware.app.link import RelayWay
from firmware.app.live import LiveWiring
from firmware.app.public_record import followed_register
from firmware.app.site import Site
from firmware.app.upkeep import Upkeep
from firmware.enrolment.check_code import CheckCode
from firmware.health.linux import LinuxBoard
from firmware.local_page.check_service import CheckService, CheckSurroundings
from firmware.local_page.check_session import CheckedParts
from firmware.local_page.doorbell_adapter import DoorbellAdapter
from firmware.local_page.guard import own_origins
from firmware.local_page.pairing_page import PairingPage
from firmware.local_page.server import serve
from firmware.local_page.status import PageStatus, TiedTo
from firmware.local_page.switches import (
    IdentityControl,
    KnockControl,
    MicrophoneControl,
    Switches,
)
from firmware.local_page.web_app import door_app
from firmware.local_page.wifi_page import WifiPage
from firmware.panel.panel import Panel
from firmware.sound.sound_system import SoundWiring
from firmware.system.supervision import Part


class LocalPageWiring:
    """The doorbell's own page. Build it inside the running loop."""

    def __init__(
        self,
        site: Site,
        *,
        panel: Panel,
        filming: CameraWiring,
        household: Household,
        recording: ClipWiring,
        sounding: SoundWiring,
        relay: RelayWay,
        upkeep: Upkeep,
        consenting: ConsentWiring,
        live: LiveWiring,
    ) -> None:
        self._site = site
        self._live = live
        self._consenting = consenting
        self.check = CheckService(
            CheckSurroundings(
                code=CheckCode(site.config.data_dir / "check.json", clock=site.clock),
                owners=household,
                camera=filming,
                button=upkeep.codes.button,
                recorder=recording.recorder,
                clip_sound=recording.sound,
                voice=sounding.digits,
            ),
            CheckedParts(
                camera=filming,
                panel=panel,
                microphone=sounding.microphone,
                speaker=sounding.speaker,
                board=LinuxBoard(site.config.data_dir),
                card=site.config.data_dir,
                clock=site.clock,
            ),
        )
        self._page = DoorbellAdapter(
            status=PageStatus(
                device=site.keys.device,
                door_url=site.config.door.url,
                owners=household,
                clock=site.clock,
                library=recording.library,
                link=relay.link,
                health=upkeep.health,
                microphone=sounding.microphone,
                tied_to=TiedTo(
                    relay_url=site.enrolment.relay_url,
                    register=followed_register(site.config),
                ),
            ),
            pairing=PairingPage(
                keys=site.keys,
                pairing=household.pairing,
                first_pairing=consenting.first_pairing,
                recovering=consenting.recovering,
                clock=site.clock,
            ),
            wifi=WifiPage(
                window=upkeep.codes.window,
                trial=upkeep.codes.trial,
                button=upkeep.codes.button,
                clock=site.clock,
            ),
            desk=consenting.desk,
            door_number=consenting.door_number,
            alerts=consenting.door_alerts,
            showing=consenting.showing,
            progress=consenting.progress,
            switches=Switches(
                knock=KnockControl(
                    store=consenting.knocks,
                    speaker=sounding.speaker,
                    desk=consenting.knocking.desk,
                ),
                microphone=MicrophoneControl(microphone=sounding.microphone, sound=sounding),
                identity=IdentityControl(
                    identity=relay.new_identity, relay_url=site.enrolment.relay_url
                ),
            ),
            check=self.check.session,
        )

    @property
    def parts(self) -> dict[str, Part]:
        """The parts that run as long as the doorbell does."""
        return {"own page": self.serve, "check": self.check.window.run}

    async def serve(self) -> None:
        """Serve the doorbell's own page until cancelled."""
        door = self._site.config.door
        app = door_app(
            self._page,
            origins=own_origins(
                door.url, listen_host=door.listen_host, listen_port=door.listen_port
            ),
            clock=self._site.clock,
            live=self._live.viewing,
            example_town=self._consenting.record.example_town,
        )
        await serve(app, door.listen_host, door.listen_port)
