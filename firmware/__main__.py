"""Command line of `doorward-firmware`, the program that runs on the doorbell.

Exit codes: 0 done, 1 it didn't work, 2 wrong use or bad configuration.
"""

import argparse
import asyncio
import logging
import random
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.config.loader import load_config
from firmware.config.settings import Config
from firmware.errors import ConfigError, DoorwardError
from firmware.protocol.command_line import quiet_pipe

if TYPE_CHECKING:
    from firmware.protocol.claims import Enrolment

HTTP_TIMEOUT_S = 15.0


@quiet_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    start_logging(logging.DEBUG if options.verbose else logging.INFO)
    try:
        if options.command == "clips":
            from firmware.commands.clips import run_clips

            return run_clips(options)
        if options.config is None:
            raise ConfigError("--config", "", "the doorbell's TOML file")
        config = load_config(options.config)
        return _run(options.command, config, options.config)
    except ConfigError as error:
        print(f"doorward-firmware: {options.config}: {error}", file=sys.stderr)
        return 2
    except DoorwardError as error:
        print(f"doorward-firmware: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def start_logging(level: int) -> None:
    """Log to stderr. At INFO the HTTP client names whole URLs, and ICE people's addresses."""
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for name in ("httpx2", "httpcore2", "aioice", "aiortc"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="doorward-firmware",
        description="The doorbell: records, and alone decides what leaves.",
        epilog="firmware/doorbell.example.toml explains every setting.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the doorbell's TOML file")
    parser.add_argument("--verbose", action="store_true", help="log more")
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    commands.add_parser("enrol", help="get this doorbell's certificate for its one-time claim")
    commands.add_parser("run", help="be the doorbell, until stopped (enrols first if needed)")
    commands.add_parser("status", help="say who this doorbell is, whose, and what waits")
    clips = commands.add_parser("clips", help="list, check, hold, delete or export recordings")
    _add_clips(clips)
    return parser


def _add_clips(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, dest="action", metavar="ACTION")
    listing = actions.add_parser("list", help="list the recordings, oldest first")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.add_argument("--deleted", action="store_true", help="the deleted ones instead")
    check = actions.add_parser("check", help="read every recording and name every fault")
    check.add_argument("--json", action="store_true", help="as JSON")
    check.add_argument("--repair", action="store_true", help="repair what can be repaired safely")
    for name, text in (
        ("hold", "keep one recording from being deleted for age or space"),
        ("unhold", "let it be deleted again, when its time comes"),
        ("delete", "delete one recording now; a signed record says so"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("clip_id", metavar="CLIP", help="its id, or the beginning of it")
    export = actions.add_parser("export", help="write one recording to a file")
    export.add_argument("clip_id", metavar="CLIP", help="its id, or the beginning of it")
    export.add_argument("--to", type=Path, required=True, metavar="FILE", help="a new file")
    export.add_argument(
        "--format",
        choices=("mp4", "fmp4", "h264"),
        default="mp4",
        help="MP4, fragmented MP4 or plain H.264 (default: mp4)",
    )
    export.add_argument(
        "--recovery", action="store_true", help="open it with the recovery words, asked for"
    )
    export.add_argument(
        "--card", type=Path, metavar="DIR", help="with --recovery: a dead doorbell's clips folder"
    )


def _run(command: str, config: Config, config_file: Path) -> int:
    if command == "enrol":
        enrolment = asyncio.run(_enrol(config))
        print(f"enrolled as {enrolment.device}")
        return 0
    if command == "status":
        return _print_status(config)
    from firmware.app.process import run  # only `run` needs the pins' library

    return run(config, partial(load_config, config_file))


async def _enrol(config: Config) -> "Enrolment":
    import httpx2

    from firmware.enrolment.client import Enroller
    from firmware.enrolment.keys import load_or_make_keys
    from firmware.enrolment.shards import ShardGuide
    from firmware.system.clock import SystemClock

    keys = load_or_make_keys(config.data_dir)
    async with httpx2.AsyncClient(timeout=HTTP_TIMEOUT_S, trust_env=False) as http:
        enroller = Enroller(
            data_dir=config.data_dir,
            claim_file=config.claim_file,
            keys=keys,
            http=http,
            source=random.SystemRandom(),
            guide=ShardGuide(
                data_dir=config.data_dir,
                policy_path=config.log.policy_path,
                http=http,
                clock=SystemClock(
                    is_host_time_trusted=config.clock.is_host_time_trusted,
                    kept_in=config.data_dir / "clock.json",
                ),
            ),
        )
        return await enroller.enrol()


def _print_status(config: Config) -> int:
    """Look at the data folder without changing it."""
    if not (config.data_dir / "identity.key").exists():
        print(f"{config.data_dir}: no doorbell here yet; begin with `enrol`")
        return 0
    from firmware.enrolment.client import load_enrolment
    from firmware.enrolment.keys import load_or_make_keys
    from firmware.enrolment.owners import OwnerStore
    from firmware.outbox.queue import Outbox

    keys = load_or_make_keys(config.data_dir)
    enrolment = load_enrolment(config.data_dir, keys.device)
    owners = OwnerStore(config.data_dir / "owners.json").owners
    outbox_file = config.data_dir / "outbox.sqlite3"
    print(f"doorbell  {keys.device}")
    if enrolment is None:
        print("enrolled  no")
    else:
        print(f"enrolled  yes, broker {enrolment.broker_host}:{enrolment.broker_port}")
    print(f"owners    {', '.join(owner.name for owner in owners) or 'none'}")
    if outbox_file.exists():
        outbox = Outbox(outbox_file, keys.device)
        print(f"outbox    {len(outbox.pending(10_000))} events wait for their receipt")
        outbox.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
