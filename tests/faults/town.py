"""A town in which servers are killed: the story's own, with a doorbell that is paired."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.story.children import Children
from tests.story.play import People, Play, meet_people
from tests.story.servers import Servers
from tests.story.settings import PORT_NAMES, Ports, Settings, free_ports
from tests.story.steps import Steps
from tests.story.town import make_town, write_doorbell_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """Everything that runs, and everybody in it."""

    settings: Settings
    servers: Servers
    children: Children
    people: People
    play: Play
    steps: Steps

    async def kill_and_restart(self, name: str) -> None:
        """End a server as a power cut would, and start it again."""
        await self.children.kill(name)
        await self.servers.start(name)


@asynccontextmanager
async def running_town(data_dir: Path, *, video: Path | None = None) -> AsyncIterator[Town]:
    """Start everything on free ports in an empty folder, enrol and pair; end it all afterwards."""
    settings = Settings(
        data_dir=data_dir,
        ports=Ports(**dict(zip(PORT_NAMES, free_ports(len(PORT_NAMES)), strict=True))),
        video=video,
        is_once=True,
        is_json=False,
    )
    await make_town(settings)
    write_doorbell_settings(settings)
    children = Children(data_dir)
    servers = Servers(settings, children)
    people = meet_people(settings)
    steps = Steps(sys.stderr)
    try:
        await servers.start_carriers()
        play = Play(settings, people, servers, steps)
        await play.begin()
        yield Town(
            settings=settings,
            servers=servers,
            children=children,
            people=people,
            play=play,
            steps=steps,
        )
    finally:
        await people.close()
        await children.stop_all()
        servers.clean_up()
