"""One start of the story: lock the data, set up, start the servers, play, stay until Ctrl-C.

Exit codes: 0 every step held (or, without --once, it was stopped by Ctrl-C after a story that
held), 1 something failed, 2 a setting can't be used.
"""

import asyncio
import signal
import sys
from collections.abc import Coroutine

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
from tests.story.town import (
    as_made,
    check_folder_is_ours,
    is_made,
    make_town,
    write_doorbell_settings,
)

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AFTER_A_FAULT = """
Start the demo again: it goes on with the town in {folder}.
To begin anew, delete that folder first."""


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
        print(AFTER_A_FAULT.format(folder=settings.data_dir), file=sys.stderr)
        print(f"\nlogs: {settings.data_dir / 'logs'}", file=sys.stderr)
    if settings.is_json and settings.is_once:
        print(steps.as_json(), flush=True)
    return 0 if steps.have_held(EMPTY_STEPS if settings.is_empty else TOWN_STEPS) else 1


async def _run(settings: Settings, steps: Steps) -> None:
    children = Children(settings.data_dir)
    people: People | None = None
    servers: Servers | None = None
    try:
        if not is_made(settings.data_dir):
            print("Making the town: keys, relay, logs and map …", file=sys.stderr, flush=True)
        is_first = await make_town(settings)
        write_doorbell_settings(settings)
        servers = Servers(settings, children)
        where = "new data" if is_first else "the data of an earlier start"
        print(f"Starting on {where} in {settings.data_dir}", file=sys.stderr, flush=True)
        await servers.start_carriers()
        people = meet_people(settings)
        play = Play(settings, people, servers, steps)
        await _while_kept(children, _play(settings, people, play, steps))
    finally:
        if people is not None:
            await people.close()
        await children.stop_all()
        if servers is not None:
            servers.clean_up()


async def _while_kept(children: Children, work: Coroutine[None, None, None]) -> None:
    """Do the work; servers that end meanwhile are started again. Raise what ends either."""
    tasks = [
        asyncio.create_task(work, name="play"),
        asyncio.create_task(children.keep_running(), name="servers"),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _play(settings: Settings, people: People, play: Play, steps: Steps) -> None:
    if settings.is_empty:
        await play.begin_empty()
    else:
        await play.begin()
        await play.tell()
    if not settings.is_once:
        await _stay(settings, people, steps)


async def _stay(settings: Settings, people: People, steps: Steps) -> None:
    await print_addresses(settings, people)
    if settings.is_json:
        print(steps.as_json(), flush=True)
    if not settings.is_empty:
        await help_newcomers(settings, people)
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
