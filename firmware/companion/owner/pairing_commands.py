"""The command `doorward pair`, and the files that it keeps.

In the folder of `doorward-view`, beside its own files: `doorbell.json`, the doorbell as its words
were found, and `passkey.json`, which passkey in a FIDO2 key it is. Both hold public halves only.
"""

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2

from firmware.companion.authenticator.errors import AccountFailed
from firmware.companion.authenticator.passkey import Site
from firmware.companion.authenticator.prompts import fido_person
from firmware.companion.authenticator.relay_calls import TIMEOUT_S
from firmware.companion.owner.account import Account
from firmware.companion.owner.approval import Terminal
from firmware.companion.owner.errors import OwnerError
from firmware.companion.owner.key_file import load_passkey_file, make_key_file
from firmware.companion.owner.local_page_client import TIMEOUT_S as PAGE_TIMEOUT_S
from firmware.companion.owner.local_page_client import LocalPageClient
from firmware.companion.owner.owner_passkey import OwnerPasskey
from firmware.companion.owner.pairing import (
    PairedDoorbell,
    check_way,
    log_in,
    pair,
    set_up,
    sign_in,
)
from firmware.companion.owner.prompts import (
    Keyboard,
    new_passphrase,
    passphrase,
)
from firmware.companion.owner.terminal_qr import check_room, draw_qr, is_drawable, save_qr
from firmware.companion.owner.wrong_taps import WrongTaps
from firmware.companion.viewer.folder import Folder
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.protocol.encoding import WireError, decode, sha256_hex
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.plain_text import plain
from firmware.system.durable_files import write_atomic

PASSKEY_NAME = "passkey.json"
DOORBELL_NAME = "doorbell.json"
WRONG_TAPS_NAME = "wrong-taps.json"
MAX_FILE_BYTES = 8192


def run_pair(options: argparse.Namespace) -> int:
    """Become a doorbell's first owner; OwnerError or PersonError if that breaks off."""
    folder = Folder(options.data)
    if folder.is_set_up and not options.replace:
        raise OwnerError(
            f"{folder.path} is set up for a doorbell already: give another folder with --data, or "
            "--replace to forget that one here"
        )
    if options.qr is None and not is_drawable():
        raise OwnerError(
            "the code can't be drawn here: run this in a terminal (UTF-8, with `segno` installed), "
            "or give --qr FILE.png"
        )
    terminal = Keyboard()
    check_way(options.relay, terminal)
    secret, link_origin = _invitation(options.invitation or "", options.relay)
    with _http(TIMEOUT_S) as http:
        site = Site.of(_owner_origin(options, link_origin, Account(http, options.relay), terminal))
        passkey = _passkey(options, site, is_to_be_made=True)
        with _session(http, options.relay, site) as account:
            key = sign_in(
                account,
                passkey,
                site,
                name=options.name,
                ask_invitation=lambda: (
                    secret or _invitation(Keyboard().ask("The invitation: "), options.relay)[0]
                ),
            )
            keys = _player_keys(folder, options)
            paired = _paired(options, account, OwnerKeys(
                name=options.name, passkey=key, browser=keys.public
            ), terminal)  # fmt: skip
            _keep(folder.path / DOORBELL_NAME, paired)
            set_up(account, folder, paired, keys)
    print(_done(options, site))
    return 0


def _paired(
    options: argparse.Namespace, account: Account, owner: OwnerKeys, terminal: Terminal
) -> PairedDoorbell:
    with _http(PAGE_TIMEOUT_S) as http:
        return pair(
            account,
            owner,
            relay=options.relay,
            terminal=terminal,
            patience=TerminalTimeouts(),
            show_code=lambda text: _show_code(text, options.qr),
            door=LocalPageClient(http, options.door) if options.door else None,
            door_url=options.door or "",
            policy_digest=_digest_of(options.policy),
            taps=WrongTaps(options.data / WRONG_TAPS_NAME, lambda: time.time_ns() // 1_000_000),
        )


def _digest_of(policy: Path | None) -> str | None:
    if policy is None:
        return None
    try:
        return sha256_hex(policy.read_bytes())
    except OSError as error:
        raise OwnerError(f"{policy} can't be read: {error.strerror}") from error


@contextmanager
def at_home(
    options: argparse.Namespace,
) -> Iterator[tuple[Account, OwnerPasskey, PairedDoorbell]]:
    """Be signed in with the passkey that a doorbell was paired with from this machine."""
    passkey, paired = own_passkey(options)
    site = Site.of(paired.owner.passkey.origin)
    with _http(TIMEOUT_S) as http, _session(http, paired.relay, site) as account:
        log_in(account, passkey)
        yield account, passkey, paired


def own_passkey(options: argparse.Namespace) -> tuple[OwnerPasskey, PairedDoorbell]:
    """Return the doorbell that was paired from this machine, and the passkey that it knows."""
    paired = kept_doorbell(options.data / DOORBELL_NAME)
    passkey = _passkey(options, Site.of(paired.owner.passkey.origin), is_to_be_made=False)
    if passkey.key != paired.owner.passkey:
        raise OwnerError(
            "this isn't the passkey that the doorbell was paired with: give its file with "
            "--key-file, or the folder that you paired in with --data"
        )
    return passkey, paired


def _owner_origin(
    options: argparse.Namespace, link_origin: str, account: Account, terminal: Terminal
) -> str:
    """Return the address of the owner's app: what was typed counts, the relay's word is shown.

    It can narrow only: the doorbell takes what is signed at exactly the address in the code.
    """
    wanted: str | None = options.owner_origin
    if wanted is not None:
        return wanted
    about = account.about()
    if about.owner_origin is None:
        raise OwnerError(
            "the relay doesn't say where its owner's app is: give its address with --owner-origin"
        )
    if link_origin and link_origin != about.owner_origin:
        raise OwnerError(
            f"the invitation is for {link_origin}, and the relay says {about.owner_origin}: ask "
            "the operator which of them is the owner's app, and give it with --owner-origin"
        )
    terminal.say(
        f"“{plain(about.relay_name)}” says that its owner's app is {plain(about.owner_origin)}\n"
        "Your passkey will sign for that address, and for no other."
    )
    if terminal.ask("Is that the address? (yes/no) ").strip().lower() != "yes":
        raise OwnerError("then give the right one with --owner-origin")
    return about.owner_origin


def _invitation(text: str, relay: str) -> tuple[str, str]:
    """Return the secret in a link or by itself, and the origin of the link.

    A link that names another relay than this one is refused: its secret isn't for this one.
    """
    text = "".join(text.split())
    if "://" not in text:
        return text, ""
    parts = urlsplit(text)
    _, _, query = parts.fragment.partition("?")
    fields = parse_qs(query)
    secrets = fields.get("invitation", [])
    if len(secrets) != 1:
        raise OwnerError("this link holds no invitation: it ends in #/join?invitation=…")
    for named in fields.get("relay", []):
        if named != relay.rstrip("/"):
            raise OwnerError(f"this invitation is of {plain(named)}: give that as --relay")
    return secrets[0], f"{parts.scheme}://{parts.netloc}"


def _passkey(options: argparse.Namespace, site: Site, *, is_to_be_made: bool) -> OwnerPasskey:
    if options.key_file is None:
        from firmware.companion.owner.fido_key import FidoPasskey

        return FidoPasskey(options.data / PASSKEY_NAME, site=site, person=fido_person())
    if options.key_file.exists() or not is_to_be_made:
        return load_passkey_file(options.key_file, site, passphrase)
    made = make_key_file(
        options.key_file, name=options.name, passphrase=new_passphrase(), site=site
    )
    if not made.has_passphrase:
        print(
            "This file has no passphrase: whoever can read it is you. They can watch as you once "
            "the door has said yes, and sign in your name."
        )
    return made


def _player_keys(folder: Folder, options: argparse.Namespace) -> PlayerKeys:
    """Return this machine's keys: those of a pairing that broke off go on."""
    if folder.has_keys and not options.replace:
        return folder.keys()
    return folder.make_keys(f"{options.name}'s terminal", is_replacing=options.replace)


def _show_code(text: str, picture: Path | None) -> None:
    if picture is not None:
        save_qr(text, picture)
        print(f"The code is in {picture}: open it, large, or print it.")
    else:
        check_room(text)
        print(draw_qr(text))
    print(
        "Hold the service button inside the doorbell's case for three seconds; then hold the code "
        "before its camera, a hand's breadth to an arm away, until it blinks twice."
    )


class TerminalTimeouts:
    """How a program at this terminal waits. Implements `Patience`."""

    def monotonic_s(self) -> float:
        """Return seconds since some fixed moment; never goes back."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Wait for so long."""
        time.sleep(seconds)

    def show(self, text: str) -> None:
        """Show what is waited for, in one line that is written over."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _done(options: argparse.Namespace, site: Site) -> str:
    file = f" --key-file {options.key_file}" if options.key_file else ""
    app = (
        f"Sign in to the owner's app at {site.origin} with this same FIDO2 key, on any machine."
        if options.key_file is None
        else "The owner's app can't use a passkey in a file. Who has a phone or a FIDO2 key can be "
        f"an owner, too: doorward let-in{file}"
    )
    return "\n".join(
        (
            "Paired. The doorbell is yours, and this machine may watch for 30 days:",
            "",
            "  doorward owners         who owns it, and which machines may watch",
            "  doorward-view run       let a player on this machine watch",
            f"  doorward renew{file}    another 30 days",
            "  doorward requests       what the police ask of your door, and how to answer it",
            "",
            app,
            "If all passkeys are lost, only a printed code helps: doorward recovery",
        )
    )


@contextmanager
def _session(http: httpx2.Client, relay: str, site: Site) -> Iterator[Account]:
    """Speak for an account, and end its session whatever happens."""
    account = Account(http, relay, origin=site.origin)
    try:
        yield account
    finally:
        with contextlib.suppress(AccountFailed):
            account.sign_out()


def _http(timeout_s: float) -> httpx2.Client:
    return httpx2.Client(timeout=timeout_s, trust_env=False)


def _keep(path: Path, paired: PairedDoorbell) -> None:
    try:
        write_atomic(path, paired.encode())
    except OSError as error:
        raise OwnerError(f"{path} can't be written: {error.strerror}") from error


def kept_doorbell(path: Path) -> PairedDoorbell:
    """Return the doorbell that was paired from this machine, or raise OwnerError."""
    try:
        with path.open("rb") as file:
            return decode(PairedDoorbell, file.read(MAX_FILE_BYTES + 1), max_bytes=MAX_FILE_BYTES)
    except FileNotFoundError as error:
        raise OwnerError(
            "no doorbell was paired from this machine: whoever paired in a browser renews it there"
        ) from error
    except (OSError, WireError) as error:
        raise OwnerError(f"{path} can't be used: {error}") from error
