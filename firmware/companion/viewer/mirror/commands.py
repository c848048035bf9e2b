"""The commands `key`, `mirror`, `open` and `check FOLDER` of `doorward-view`."""

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.companion.viewer.clip_requests import (
    CLIPS_LABEL,
    MAX_CLIP_BYTES,
    MAX_LISTED,
    ClipLine,
    list_clips,
)
from firmware.companion.viewer.clock import MachineClock
from firmware.companion.viewer.errors import ConnectionBroken, RelayError, ViewerError
from firmware.companion.viewer.folder import Folder
from firmware.companion.viewer.mirror.copies import DAY_MS, Copies, Limits
from firmware.companion.viewer.mirror.copy_check import CopyCheck
from firmware.companion.viewer.mirror.errors import FolderFull, RightEnded
from firmware.companion.viewer.mirror.mirror import Mirror, MirrorLine
from firmware.companion.viewer.mirror.opened_files import CLIP_NAME, MANIFEST_NAME, open_into
from firmware.companion.viewer.mirror.owner_key import (
    make_owner_key,
    parse_public_text,
    public_of,
    public_text,
    read_owner_key,
)
from firmware.companion.viewer.mirror.progress import Reporter, when_text
from firmware.companion.viewer.server import parse_door
from firmware.protocol.encoding import unb64u
from firmware.protocol.plain_text import plain

if TYPE_CHECKING:
    from firmware.companion.viewer.gateway import Gateway


class Exit(IntEnum):
    """Exit codes of `mirror`, beside 0, 1 (anything else that failed) and 2 (wrong use)."""

    RIGHT_ENDED = 3
    AWAY = 4
    FULL = 5


SMALLEST_MAX_BYTES = 2 * MAX_CLIP_BYTES
_UNITS = {"M": 10**6, "G": 10**9, "T": 10**12}

MIRROR_HELP = """\
Copy each recording, as soon as it is finished, into FOLDER, sealed to the owner's key. The doorbell
lets only a player do so that has the right to recordings. This machine holds no key that opens a
copy.

    on your own computer:    doorward-view key doorward-copies.key
    on this machine, once:   doorward-view mirror FOLDER --to doorward-copies:…
    and from then on:        doorward-view mirror FOLDER
    to watch one:            doorward-view open COPY --key doorward-copies.key
"""
MIRROR_CODES = """\
exit codes: 0 all is copied (--once); 1 the folder can't be used, or another failure; 2 wrong use;
3 the doorbell lets this player fetch recordings no more: an owner has to renew it; 4 the doorbell
can't be reached (--once); 5 the disk is full (--once). Without --once it waits out 4 and 5.
"""


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add the commands that need no player."""
    key = commands.add_parser(
        "key",
        help="make the owner's key for copies, or show its public part",
        description="Make the key that opens copies, on your own computer, and print the line for "
        "`doorward-view mirror --to`. Keep the file as you keep a house key, and a copy of it "
        "elsewhere: without it nobody opens your copies.",
    )
    key.add_argument("file", type=Path, metavar="FILE", help="the private file; shown if it exists")
    mirror = commands.add_parser(
        "mirror",
        help="copy each recording to a folder, sealed to the owner's key",
        description=MIRROR_HELP,
        epilog=MIRROR_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    mirror.add_argument("folder", type=Path, metavar="FOLDER", help="made if need be, mode 0700")
    mirror.add_argument(
        "--to", metavar="KEY", help="the owner's public key; needed once, then kept in the folder"
    )
    mirror.add_argument("--once", action="store_true", help="copy what is missing, and end")
    _add_keep_days(mirror)
    mirror.add_argument(
        "--max-size",
        type=_size,
        metavar="SIZE",
        help="remove the oldest copies beyond this, as 20G; at least 600M",
    )
    _add_door(mirror)
    mirror.add_argument("--json", action="store_true", help="say each thing as one JSON object")
    opened = commands.add_parser(
        "open",
        help="open a copy with the owner's key",
        description="Open one copy into a new folder: the recording as MP4, and the papers that "
        "prove it. It opens only if it is, whole, what the doorbell signed.",
    )
    opened.add_argument("copy", type=Path, metavar="COPY", help="a file that the mirror made")
    opened.add_argument("--key", type=Path, required=True, metavar="FILE", help="the private file")
    opened.add_argument("--out", type=Path, metavar="DIR", help="a new folder (named as the copy)")


def add_check_options(check: argparse.ArgumentParser) -> None:
    """Add what `check` takes for a folder of copies."""
    check.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", help="check the copies in it instead"
    )
    check.add_argument("--key", type=Path, metavar="FILE", help="also open each copy")
    check.add_argument(
        "--door",
        nargs="?",
        const="",
        metavar="URL",
        help="also ask the doorbell which recordings aren't in FOLDER; by its own page, if its "
        "address is given",
    )
    _add_keep_days(check)


def _add_keep_days(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep-days",
        type=_days,
        metavar="DAYS",
        help="how old a copy gets, reckoned from the newest recording if that is over a day ago",
    )


def _add_door(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--door",
        metavar="URL",
        help="the doorbell's own page, as http://doorbell.local:8402: asked first, so that copies "
        "come without the internet",
    )


def make_or_show_key(options: argparse.Namespace) -> int:
    """`key`."""
    path: Path = options.file
    public = public_of(read_owner_key(path)) if path.exists() else make_owner_key(path)
    print(
        f"{path} opens your copies: keep it off the machine that mirrors, and keep a second copy.",
        "On that machine:",
        "",
        f"  doorward-view mirror FOLDER --to {public_text(public)}",
        sep="\n",
    )
    return 0


def open_file(options: argparse.Namespace) -> int:
    """`open`."""
    path: Path = options.copy
    out: Path = options.out or Path(path.name.removesuffix(path.suffix))
    copy = open_into(path, read_owner_key(options.key), out)
    print(
        f"{out / CLIP_NAME}: recorded {when_text(copy.manifest.started_ms)} by the doorbell "
        f"{copy.manifest.device}, and exactly what it signed ({MANIFEST_NAME}).",
        *([] if copy.manifest.is_clock_trusted else ["Its clock wasn't set then."]),
        sep="\n",
    )
    return 0


def mirror_folder(options: argparse.Namespace, folder: Folder) -> int:
    """`mirror`."""
    setup, clock = folder.setup(), MachineClock()
    report = Reporter(is_json=options.json)
    copies = Copies(
        options.folder,
        identity_spki=unb64u(setup.identity_key),
        recipient=None if options.to is None else parse_public_text(options.to),
        now_ms=clock.wall_ms(),
    )
    limits = Limits(keep_days=options.keep_days, max_bytes=options.max_size)
    try:
        skipped = asyncio.run(_mirror(options, folder, copies, limits, report))
    except RightEnded as error:
        return _failed(error, Exit.RIGHT_ENDED)
    except FolderFull as error:
        return _failed(error, Exit.FULL)
    except (ConnectionBroken, RelayError) as error:
        return _failed(error, Exit.AWAY)
    finally:
        copies.close()
    return 1 if skipped else 0


def check_folder(options: argparse.Namespace, folder: Folder) -> int:
    """`check FOLDER`."""
    setup = folder.setup() if folder.is_set_up else None
    checked = CopyCheck(
        options.folder,
        identity_spki=None if setup is None else unb64u(setup.identity_key),
        private_key=None if options.key is None else read_owner_key(options.key),
    )
    faults = list(checked.faults())
    good = checked.count - len({fault.clip_id for fault in faults if fault.clip_id})
    how = "as they were signed" if options.key else "as they were stored, and signed for"
    print(f"{'✗' if faults else '✓'} {good} of {checked.count} copies are {how}")
    if options.door is not None:
        listed = asyncio.run(_listed(folder, options.door or None))
        limits = Limits(keep_days=options.keep_days)
        newest_ms = max((clip.started_ms or 0 for clip in listed), default=0)
        now_ms = min(MachineClock().wall_ms(), newest_ms + DAY_MS)
        missing = list(checked.missing(listed, limits, now_ms=now_ms))
        here = len(listed) - len(missing)
        print(f"{'✗' if missing else '✓'} {here} of the doorbell's {len(listed)} were copied")
        faults += missing
    for fault in faults:
        print(f"  {plain(fault.text)}")
    return 1 if faults else 0


async def _mirror(
    options: argparse.Namespace,
    folder: Folder,
    copies: Copies,
    limits: Limits,
    report: Reporter,
) -> int:
    """Return how many recordings were skipped."""
    async with _gateway(folder, options.door) as gateway:
        mirror = Mirror(
            copies,
            lambda: _line(gateway),
            identity_spki=unb64u(folder.setup().identity_key),
            limits=limits,
            clock=MachineClock(),
            report=report,
        )
        if not options.once:
            await mirror.run()
        return await mirror.run_once()


async def _listed(folder: Folder, door: str | None) -> list[ClipLine]:
    """Return all recordings that the doorbell has."""
    found = list[ClipLine]()
    async with _gateway(folder, door) as gateway, _line(gateway) as line:
        while True:
            page = await list_clips(line, skip=len(found))
            found += page
            if len(page) < MAX_LISTED:
                return found


def _line(gateway: "Gateway") -> AbstractAsyncContextManager[MirrorLine]:
    from firmware.companion.viewer.connection import open_connection

    return open_connection(gateway, CLIPS_LABEL)


@asynccontextmanager
async def _gateway(folder: Folder, door: str | None) -> AsyncIterator["Gateway"]:
    import httpx2

    from firmware.companion.viewer.gateway import Gateway
    from firmware.companion.viewer.relay_client import TIMEOUT_S, signalling

    keys, setup = folder.keys(), folder.setup()
    async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
        way = signalling(http, setup, None if door is None else parse_door(door))
        gateway = Gateway(keys=keys, setup=setup, relay=way, clock=MachineClock(), purpose="mirror")
        try:
            yield gateway
        finally:
            await gateway.aclose()


def _failed(error: ViewerError, code: Exit) -> int:
    print(f"doorward-view: {plain(str(error))}", file=sys.stderr)
    return code


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 36_500:
        raise argparse.ArgumentTypeError("a number of days, from 1 on")
    return int(text)


def _size(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})([MGT])", text)
    if found is None:
        raise argparse.ArgumentTypeError("a number with M, G or T, as 20G")
    size_bytes = int(found[1]) * _UNITS[found[2]]
    if size_bytes < SMALLEST_MAX_BYTES:
        raise argparse.ArgumentTypeError("at least 600M, or the longest recordings have no room")
    return size_bytes
