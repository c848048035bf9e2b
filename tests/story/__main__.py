"""One start of the story: lock the data, set up, start the servers, play, stay until Ctrl-C.

Exit codes: 0 every step held (or, without --once, it was stopped by Ctrl-C after a story that
held), 1 something failed, 2 a setting can't be used.
"""

import asyncio
import signal
import sys
from contextlib import suppress

from tests.story.children import Children
from tests.story.play import People, Play, meet_people
from tests.story.servers import Servers
from tests.story.settings import (
    BadSetting,
    Settings,
    StoryError,
    check_ports_are_free,
    locked,
    parse_settings,
)
from tests.story.stay import help_newcomers, print_addresses
from tests.story.steps import EMPTY_STEPS, TOWN_STEPS, Steps
from tests.story.town import as_made, check_folder_is_ours, make_town, write_doorbell_settings

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Play the story as the command line says; return the exit code."""
    try:
        settings = parse_settings(sys.argv[1:])
        check_folder_is_ours(settings.data_dir)
        with locked(settings.data_dir):
            settings = as_made(settings)
            check_ports_are_free(settings.ports)
            return asyncio.run(_run_until_signalled(settings))
    except BadSetting as error:
        print(error, file=sys.stderr)
        return 2


async def _run_until_signalled(settings: Settings) -> int:
    """Run; a signal ends the story in order, so that every process ends."""
    steps = Steps(sys.stderr if settings.is_json else sys.stdout)
    run = asyncio.create_task(_run(settings, steps), name="story")
    loop = asyncio.get_running_loop()

    def stop_once() -> None:
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, lambda: None)  # ending takes a moment: let it
        print("\nstopping …", file=sys.stderr, flush=True)
        run.cancel()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop_once)
    try:
        await run
    except asyncio.CancelledError:
        print("stopped", file=sys.stderr)
    except StoryError as error:
        print(f"\n{error}", file=sys.stderr)
        print(f"\nlogs: {settings.data_dir / 'logs'}", file=sys.stderr)
    if settings.is_json and settings.is_once:
        print(steps.as_json(), flush=True)
    return 0 if steps.have_held(EMPTY_STEPS if settings.is_empty else TOWN_STEPS) else 1


async def _run(settings: Settings, steps: Steps) -> None:
    children = Children(settings.data_dir)
    people: People | None = None
    servers: Servers | None = None
    try:
        is_first = await make_town(settings)
        write_doorbell_settings(settings)
        servers = Servers(settings, children)
        where = "new data" if is_first else "the data of an earlier start"
        print(f"Starting on {where} in {settings.data_dir}", file=sys.stderr, flush=True)
        await servers.start_carriers()
        people = meet_people(settings)
        play = Play(settings, people, servers, steps)
        if settings.is_empty:
            await play.begin_empty()
        else:
            await play.begin()
            await play.tell()
        if not settings.is_once:
            await _stay(settings, people, children, steps)
    finally:
        if people is not None:
            await people.close()
        await children.stop_all()
        if servers is not None:
            servers.clean_up()


async def _stay(settings: Settings, people: People, children: Children, steps: Steps) -> None:
    await print_addresses(settings, people)
    if settings.is_json:
        print(steps.as_json(), flush=True)
    if settings.is_empty:
        raise StoryError(await children.wait_for_an_end())
    helping = asyncio.create_task(help_newcomers(settings, people), name="helping newcomers")
    try:
        raise StoryError(await children.wait_for_an_end())
    finally:
        helping.cancel()
        with suppress(asyncio.CancelledError):
            await helping


if __name__ == "__main__":
    sys.exit(main())
