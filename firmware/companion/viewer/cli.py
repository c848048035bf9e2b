"""`doorward-view`: lets players on this machine watch the doorbell (WHEP), and copies recordings.

`keygen`, then the owner's app with the code, then `setup` with the text that the app gives back,
then `run` or `mirror`. Keys and set-up are kept in one folder that only its owner can read.
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from firmware.companion.viewer.clock import MachineClock
from firmware.companion.viewer.errors import ViewerError
from firmware.companion.viewer.folder import Folder
from firmware.companion.viewer.mirror import commands
from firmware.companion.viewer.server import (
    DEFAULT_PORT,
    Address,
    listen,
    parse_address,
    parse_door,
    serve,
)
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.command_line import quiet_pipe
from firmware.protocol.encoding import WireError
from firmware.protocol.live import Purpose
from firmware.protocol.pairing import browser_words
from firmware.protocol.plain_text import plain
from firmware.protocol.players import MAX_TEXT_CHARS, PlayerSetup, code_text

if TYPE_CHECKING:
    import httpx2

MAX_NAME_CHARS = 60


@quiet_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code (1: it didn't work, 2: wrong use)."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    folder = Folder(options.data)
    try:
        return _run(options, folder)
    except (ViewerError, WireError) as error:
        print(f"doorward-view: {plain(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace, folder: Folder) -> int:
    match options.command:
        case "keygen":
            keys = folder.make_keys(options.name, is_replacing=options.replace)
            print(_code_help(keys.public))
        case "code":
            print(code_text(folder.keys().public))
        case "setup":
            print(_set_up(folder))
        case "words":
            print(_words(folder.setup(), folder.keys().public))
        case "check" if options.folder is not None:
            return commands.check_folder(options, folder)
        case "check":
            return asyncio.run(_check(folder))
        case "key":
            return commands.make_or_show_key(options)
        case "mirror":
            return commands.mirror_folder(options, folder)
        case "open":
            return commands.open_file(options)
        case _:
            address = parse_address(options.listen, is_network_allowed=options.open_to_network)
            asyncio.run(_serve(folder, address, options))
    return 0


def _code_help(keys: BrowserKeys) -> str:
    return "\n".join(
        (
            "This player's code. Paste it in the owner's app, under People, Other players:",
            "",
            code_text(keys),
            "",
            "Then give the text that the app shows to: doorward-view setup",
        )
    )


def _set_up(folder: Folder) -> str:
    keys = folder.keys().public
    if sys.stdin.isatty():
        print("Paste the app's set-up text, then press Enter:", file=sys.stderr)
    read = sys.stdin.readline if sys.stdin.isatty() else sys.stdin.read
    setup = folder.keep_setup(read(MAX_TEXT_CHARS + 1))
    return "\n".join(
        (
            "Set up. The doorbell's own page asks you to confirm, and shows six words:",
            "",
            f"  {_words(setup, keys)}",
            "",
            "Confirm there only if they are the same. Then: doorward-view run",
        )
    )


def _words(setup: PlayerSetup, keys: BrowserKeys) -> str:
    return " ".join(browser_words(setup.device, keys))


async def _check(folder: Folder) -> int:
    from firmware.companion.viewer.checks import run_checks
    from firmware.companion.viewer.relay_client import RelayClient

    keys, setup = folder.keys(), folder.setup()
    async with _http() as http:
        findings = await run_checks(keys, setup, RelayClient(http, setup))
    for finding in findings:
        print(f"{'✓' if finding.is_ok else '✗'} {plain(finding.text)}")
    return 0 if all(finding.is_ok for finding in findings) else 1


async def _serve(folder: Folder, address: Address, options: argparse.Namespace) -> None:
    from firmware.companion.viewer.connection import open_connection
    from firmware.companion.viewer.gateway import Gateway
    from firmware.companion.viewer.guard import Guard
    from firmware.companion.viewer.home_api import home_routes
    from firmware.companion.viewer.home_door import Gateways, HomeDoor
    from firmware.companion.viewer.relay_client import signalling
    from firmware.companion.viewer.whep import build_whep

    keys, setup, token = folder.keys(), folder.setup(), folder.local_token()
    door = None if options.door is None else parse_door(options.door)
    clock = MachineClock()

    def say_where() -> None:
        print(f"WHEP at http://{address.text}/whep", f"token {token}", sep="\n")
        print(f"or, in one address: http://{address.text}/whep/{token}", flush=True)

    with listen(address) as listener:
        async with _http() as http:

            def gateway(purpose: Purpose) -> Gateway:
                way = signalling(http, setup, door)
                return Gateway(keys=keys, setup=setup, relay=way, clock=clock, purpose=purpose)

            live, rings, clips = gateway("live"), gateway("rings"), gateway("clips")
            home = HomeDoor(
                Gateways(live=live, rings=rings, clips=clips),
                setup,
                clock=clock,
                open_connection=open_connection,
            )
            guard = Guard(token=token, hosts=address.hosts, origins=frozenset(options.origin))
            listening = asyncio.create_task(home.run(), name="rings")
            try:
                app = build_whep(live, guard, home_routes(home, guard))
                await serve(app, listener, on_ready=say_where)
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
                await home.aclose()
                for one in (live, rings, clips):
                    await one.aclose()


def _http() -> "httpx2.AsyncClient":
    import httpx2

    from firmware.companion.viewer.relay_client import TIMEOUT_S

    return httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="doorward-view", description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        default=_default_folder(),
        metavar="DIR",
        help="the folder (%(default)s)",
    )
    actions = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    keygen = actions.add_parser("keygen", help="make this player's keys and show its code")
    keygen.add_argument(
        "--name", type=_name, required=True, help="what whoever watches sees it called"
    )
    keygen.add_argument("--replace", action="store_true", help="in place of those that are there")
    actions.add_parser("code", help="show this player's code again, to renew it")
    actions.add_parser("setup", help="take the set-up text of the owner's app (stdin)")
    actions.add_parser("words", help="show the six words to compare at the doorbell")
    check = actions.add_parser(
        "check", help="try the way to the doorbell, or check a folder of copies"
    )
    commands.add_check_options(check)
    commands.add_commands(actions)
    run = actions.add_parser("run", help="serve WHEP to players on this machine")
    run.add_argument("--listen", default=f"127.0.0.1:{DEFAULT_PORT}", metavar="IP:PORT")
    run.add_argument(
        "--open-to-network",
        action="store_true",
        help="allow an address that other machines reach (unencrypted)",
    )
    run.add_argument(
        "--door",
        metavar="URL",
        help="the doorbell's own page, as http://doorbell.local:8402: asked first, so that live "
        "view and rings work at home without the internet",
    )
    run.add_argument(
        "--origin", action="append", default=[], help="a page elsewhere that may play here"
    )
    return parser


def _name(text: str) -> str:
    if not 1 <= len(text) <= MAX_NAME_CHARS or not text.isprintable():
        raise argparse.ArgumentTypeError(f"one line of at most {MAX_NAME_CHARS} characters")
    return text


def _default_folder() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "doorward-view"
