"""The doorbell's own page, asking: every kind of statement and state there is."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import get_args

from firmware.local_page.guard import own_origins
from firmware.local_page.ports import KnockView, Outcome, PairingView
from firmware.local_page.views import (
    ClipView,
    GrantView,
    ReleaseProgress,
    Stage,
    StatementView,
)
from firmware.local_page.web_app import door_app
from tests.fakes.film_parts import Film
from tests.fakes.local_page import (
    ASKED_GRANT,
    CLIP,
    DIGEST,
    KNOCK,
    OTHERS,
    Doorbell,
    asking,
)
from tests.flows.serving import serving
from tests.story.settings import free_ports

TOWN = "example.lakeland"
SECOND: ClipView = replace(
    CLIP,
    from_ms=CLIP.from_ms + 300_000,
    to_ms=CLIP.from_ms + 372_000,
    is_whole=False,
    has_sound=True,
    time="corrected",
)
LETTER = replace(
    ASKED_GRANT,
    agency="Lakeland Police",
    text="A bicycle was taken from outside number 14, between two and three. We look for whoever "
    "walked it down Elm Street.",
)
GRANTS: Mapping[str, GrantView] = {
    "grant": LETTER,
    "grant-full": replace(
        LETTER,
        is_example=True,
        reason="Nobody saw when it was taken; it was there in the morning and gone at noon.",
        asked_to_ms=LETTER.asked_from_ms + 5 * 3_600_000,
        clips=(CLIP, SECOND),
        has_audio=True,
        given_name="Maria Lind",
        given_address="14 Elm Street",
        given_contact="maria@home.example",
        key_fingerprints=("ab12cd34ab12cd34", "0f9e8d7c6b5a4938", "77aa55cc33ee11bb"),
    ),
    "grant-emergency": replace(
        LETTER,
        incident_type="missing_person",
        danger="A child of four, alone since two o'clock, in a red jacket.",
    ),
    "grant-impossible": replace(
        LETTER, clips=(CLIP, replace(SECOND, problem="no whole group of pictures lies there"))
    ),
}
WAITING: Mapping[str, list[StatementView]] = {
    **{name: [asking(asked)] for name, asked in GRANTS.items()},
    **{asked.kind.replace("_", "-"): [asking(asked)] for asked in OTHERS},
    "several": [asking(asked, f"{number:064x}") for number, asked in enumerate(OTHERS[:3])],
    "empty": [],
}
RELEASES: Mapping[str, ReleaseProgress] = {
    stage.replace("_", "-"): ReleaseProgress(
        digest=DIGEST,
        agency="Lakeland Police",
        stage=stage,
        confirmed_ms=1_795_000_100_000,
        goes_ms=1_795_000_500_000,
        not_after_ms=1_795_050_000_000,
    )
    for stage in get_args(Stage)
}
KNOCKS: Mapping[str, KnockView] = {
    "off": KNOCK,
    "on": replace(KNOCK, is_on=True, tries_left=2, last="over", last_ms=1_795_000_000_000),
    "locked": replace(
        KNOCK,
        is_on=True,
        tries_left=0,
        locked_for_s=80_000,
        last="locked",
        last_ms=1_795_000_000_000,
    ),
    "mute": replace(KNOCK, has_speaker=False),
}


class AskingDoorbell(Doorbell):
    """A paired doorbell; what it plays is a real film."""

    def __init__(self) -> None:
        super().__init__(view=PairingView(state="paired"), waits=[])
        film = Film()
        end_ms = film.manifest.started_ms + film.manifest.duration_90k // 90
        self._mp4 = film.mp4(film.within(film.manifest.started_ms, end_ms))

    async def part(self, digest: str, number: int) -> bytes | None:
        return None if await super().part(digest, number) is None else self._mp4

    def stays_as_it_is(self) -> None:
        """Whatever is confirmed from now on fails."""
        self.outcome = Outcome(is_done=False, detail="the clock isn't trusted")


@asynccontextmanager
async def asking_door() -> AsyncIterator[tuple[AskingDoorbell, str]]:
    """Serve the page; set what the doorbell shows."""
    (port,) = free_ports(1)
    address = f"http://localhost:{port}"
    bell = AskingDoorbell()
    origins = own_origins(address, listen_host="127.0.0.1", listen_port=port)
    async with serving(door_app(bell, origins=origins, example_town=TOWN), port):
        yield bell, address
