"""The commands of `doorward` for an owner at their own machine: what they take, and what runs them.

aiortc, fido2 and the servers are imported when a command needs them, so that the others need none.
"""

import argparse
import asyncio
import getpass
from pathlib import Path

import httpx2

from firmware.companion.authenticator.prompts import fido_person, name_option, origin_option
from firmware.companion.owner.approval import Approving, Terminal
from firmware.companion.owner.approver import ApproverKey
from firmware.companion.owner.doorbell_folder import clip_folder, open_desk
from firmware.companion.owner.errors import OwnerError
from firmware.companion.owner.key_file import load_key_file, make_key_file
from firmware.companion.owner.local_page_client import TIMEOUT_S as PAGE_TIMEOUT_S
from firmware.companion.owner.local_page_client import DoorPage
from firmware.companion.owner.pairing_commands import add_pairing
from firmware.companion.owner.prompts import add_folder, ask, new_passphrase, wall_ms
from firmware.companion.owner.recovery_key import check_recovery, new_recovery, pair_again
from firmware.companion.owner.request_commands import add_requests
from firmware.companion.owner.statement_commands import add_signing
from firmware.companion.owner.terminal_qr import draw_qr, is_drawable
from firmware.companion.owner.waiting_texts import household_lines
from firmware.companion.viewer.folder import Folder
from firmware.protocol.owner_codes import ApproverCode, approver_code_text
from firmware.protocol.pairing import approver_words

APP_PORT = 8420
APPROVER_NAME = "approver.json"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the owner's commands; each has a `run` that takes the options."""
    add_pairing(commands)
    add_signing(commands)
    add_requests(commands)
    _add_recovery(commands)
    approve = _add_approve(commands)
    owners = commands.add_parser(
        "owners", help="show who owns the doorbell, and your browsers and keys there"
    )
    owners.set_defaults(run=_owners)
    _add_app(commands)
    for command in (approve, owners):
        add_folder(command, "the folder of `doorward-view`, which is set up first")


def _add_recovery(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    recovery = commands.add_parser(
        "recovery",
        help="make a key for when the doorbell has died, or all passkeys are lost",
    )
    recovery.add_argument(
        "--check", action="store_true", help="type the words of a key that you have, to test them"
    )
    recovery.add_argument(
        "--pair", action="store_true", help="let a new app in with the words, at home"
    )
    recovery.add_argument(
        "--door", default="http://doorbell.local:8080", metavar="URL", help="its own page"
    )
    recovery.set_defaults(run=_recovery)


def _add_approve(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> argparse.ArgumentParser:
    approve = commands.add_parser(
        "approve", help="say yes or no, from anywhere, to what waits at your doorbell"
    )
    approve.add_argument(
        "digest", nargs="?", default="", help="of the statement (its beginning); all that waits"
    )
    approve.add_argument(
        "--enrol", action="store_true", help="let the FIDO2 key that is plugged in be such a key"
    )
    approve.add_argument("--new-key", type=Path, metavar="FILE", help="make such a key in a file")
    approve.add_argument("--key-file", type=Path, metavar="FILE", help="sign with a key in a file")
    approve.add_argument("--name", type=name_option, help="what the new key is called")
    approve.add_argument(
        "--save", type=Path, metavar="DIR", help="keep the clips there (else they are deleted)"
    )
    approve.set_defaults(run=_approve)
    return approve


def _add_app(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    app = commands.add_parser(
        "app", help="serve the owner's app from this machine, and say which one it is"
    )
    app.add_argument(
        "--relay", type=origin_option, metavar="URL", help="such as https://relay.example"
    )
    app.add_argument("--port", type=int, default=APP_PORT, metavar="N", help="(%(default)s)")
    app.add_argument("--bundle", type=Path, metavar="DIR", help="another copy of the app")
    app.add_argument(
        "--list", action="store_true", help="print each file's SHA-256, as sha256sum does, and end"
    )
    app.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="the log's policy: serve only what that public register knows (with --log)",
    )
    app.add_argument("--log", metavar="URL", help="where the register is, such as https://…/log")
    app.add_argument("--old", action="store_true", help="with --policy: though a newer is known")
    app.set_defaults(run=_app)


def _recovery(options: argparse.Namespace) -> int:
    if options.pair:
        with httpx2.Client(timeout=PAGE_TIMEOUT_S, trust_env=False) as http:
            page = DoorPage(http, options.door)
            pair_again(page, Terminal(say=print, ask=ask), ask_secret=getpass.getpass)
        return 0
    print(check_recovery() if options.check else new_recovery())
    return 0


def _approve(options: argparse.Namespace) -> int:
    folder = Folder(options.data)
    if options.new_key is not None:
        passphrase = new_passphrase()
        key = make_key_file(options.new_key, name=_wanted_name(options), passphrase=passphrase)
        if not key.has_passphrase:
            print("This file has no passphrase: whoever can read it can say yes in your name.")
        print(_code_help(key.code))
        return 0
    if options.enrol:
        from firmware.companion.owner.fido_key import enrol_fido_key

        path = folder.path / APPROVER_NAME
        name = _wanted_name(options)
        print(_code_help(enrol_fido_key(path, name=name, person=fido_person()).code))
        return 0
    setup = folder.setup()
    with clip_folder(options.save) as clips:
        approving = Approving(
            device=setup.device,
            key=_key(options),
            terminal=Terminal(say=print, ask=ask),
            folder=clips,
            wall_ms=wall_ms,
        )
        asyncio.run(approving.run(lambda: open_desk(folder), options.digest))
    return 0


def _owners(options: argparse.Namespace) -> int:
    async def shown() -> list[str]:
        async with open_desk(Folder(options.data)) as desk:
            return household_lines(await desk.household(), None)

    print("\n".join(asyncio.run(shown())))
    return 0


def _app(options: argparse.Namespace) -> int:
    from firmware.companion.owner import bundle as app

    bundle = options.bundle or app.find_bundle()
    listing = app.listing_of(bundle)
    if options.list:
        print(listing, end="")
        return 0
    digest = app.digest_of(listing)
    print(f"The app's digest: {digest}")
    if (options.policy is None) != (options.log is None):
        raise OwnerError("give --policy and --log together")
    if options.policy is not None:
        released = asyncio.run(app.released_programs(options.policy, options.log))
        version = app.version_in(released, digest, is_old_taken=options.old)
        newest = app.newest_in(released)
        is_older = newest is not None and newest.sha256 != digest
        older = f" Its newest is another: version {newest.version}." if newest and is_older else ""
        print(f"The register knows it: version {version}.{older}")
    else:
        print("Nobody has compared it: give --policy and --log to compare it with the register.")
    if options.relay is None:
        raise OwnerError("give your relay's address: --relay https://…")
    from firmware.companion.owner.app_server import build_app, listen, serve

    listeners = listen(options.port)
    print(f"The owner's app: http://localhost:{options.port} (its relay: {options.relay})")
    asyncio.run(serve(build_app(options.relay, bundle=bundle), listeners))
    return 0


def _key(options: argparse.Namespace) -> ApproverKey:
    if options.key_file is not None:
        return load_key_file(options.key_file, lambda: getpass.getpass("Passphrase of the key: "))
    from firmware.companion.owner.fido_key import load_fido_key

    return load_fido_key(options.data / APPROVER_NAME, person=fido_person())


def _code_help(code: ApproverCode) -> str:
    text = approver_code_text(code)
    drawn = [draw_qr(text), ""] if is_drawable() else []
    return "\n".join(
        (
            "Paste this code in the owner's app, under Settings, Confirm from anywhere:",
            "",
            text,
            "",
            *drawn,
            "The app and the doorbell's own page show these six words. Confirm only if they are",
            "the same:",
            "",
            f"  {' '.join(approver_words(code.key))}",
        )
    )


def _wanted_name(options: argparse.Namespace) -> str:
    if not options.name:
        raise OwnerError("give the key a name that you will know it by: --name NAME")
    name: str = options.name
    return name
