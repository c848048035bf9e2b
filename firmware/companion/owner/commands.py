"""`doorward recovery`, `approve`, `owners` and `app`, carried out.

aiortc, fido2 and the servers are imported when a command needs them, so that the others need none.
"""

import argparse
import asyncio
import getpass

import httpx2

from firmware.companion.authenticator.prompts import fido_person
from firmware.companion.owner.approval import Approval, player_here
from firmware.companion.owner.approver import ApproverKey
from firmware.companion.owner.doorbell_folder import clip_folder, open_asked_client
from firmware.companion.owner.errors import OwnerError
from firmware.companion.owner.key_file import load_key_file, make_key_file
from firmware.companion.owner.local_page_client import TIMEOUT_S as PAGE_TIMEOUT_S
from firmware.companion.owner.local_page_client import LocalPageClient
from firmware.companion.owner.prompts import Keyboard, new_passphrase
from firmware.companion.owner.recovery_key import check_recovery, new_recovery, pair_again
from firmware.companion.owner.terminal_qr import draw_qr, is_drawable
from firmware.companion.owner.waiting_texts import household_lines
from firmware.companion.viewer.clock import MachineClock
from firmware.companion.viewer.folder import Folder
from firmware.protocol.owner_codes import ApproverCode, approver_code_text
from firmware.protocol.pairing import approver_words

APPROVER_NAME = "approver.json"


def run_recovery(options: argparse.Namespace) -> int:
    """Make a recovery key, test one, or pair a new app with one."""
    if options.pair:
        with httpx2.Client(timeout=PAGE_TIMEOUT_S, trust_env=False) as http:
            page = LocalPageClient(http, options.door)
            pair_again(page, Keyboard(), ask_secret=getpass.getpass)
        return 0
    print(check_recovery() if options.check else new_recovery())
    return 0


def run_approve(options: argparse.Namespace) -> int:
    """Say yes or no to what waits at the doorbell, or make a key for that."""
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
        approving = Approval(
            device=setup.device,
            key=_key(options),
            terminal=Keyboard(),
            folder=clips,
            clock=MachineClock(),
            player=player_here(),
        )
        asyncio.run(approving.run(lambda: open_asked_client(folder), options.digest))
    return 0


def run_owners(options: argparse.Namespace) -> int:
    """Show who owns the doorbell, and the owner's browsers and keys there."""

    async def shown() -> list[str]:
        async with open_asked_client(Folder(options.data)) as desk:
            return household_lines(await desk.household(), None)

    print("\n".join(asyncio.run(shown())))
    return 0


def run_app(options: argparse.Namespace) -> int:
    """Serve the owner's app from this machine, or list its files."""
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
    policy = None if options.policy is None else app.policy_named(options.policy)
    asyncio.run(serve(build_app(options.relay, bundle=bundle, policy=policy), listeners))
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
