"""The command line of `doorward-flash`: makes cards for doorbells, on Linux.

    doorward-flash list                        which disks may be flashed, and why others may not
    doorward-flash flash IMAGE [DISK]          write an image to a card, and read it back
    doorward-flash customise DISK --invitation FILE-OR-LINK ...
                                               give a flashed card its claim and its Wi-Fi
    doorward-flash batch IMAGE DISK... --invitations FOLDER --ledger FILE
                                               many cards at once, each with a claim of its own
    doorward-flash label SERIAL... --link URL --out FILE
                                               stickers with serial and service link, PDF or SVG
    doorward-flash verify IMAGE DISK           compare an uncustomised card with its image

Nothing is overwritten but a removable disk that holds nothing mounted, and that a person confirmed.
Exit codes: 0 done, 1 it couldn't be done, 2 a bad argument, 130 stopped.
"""

import argparse
import getpass
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from firmware.protocol.claims import Invitation
from firmware.protocol.command_line import ZERO, quiet_pipe
from provisioning import targets
from provisioning.batch import Batch, orders_of
from provisioning.cloud_init import Wishes
from provisioning.customise import customise
from provisioning.errors import (
    Cancelled,
    LedgerRefused,
    ProvisioningError,
    ReleaseRefused,
    TargetRefused,
    WishRefused,
)
from provisioning.image import Image, check_base
from provisioning.invitation import invitation_of, invited_network
from provisioning.labels import labels_of, pdf_sheets, svg_sheets
from provisioning.ledger import open_ledger
from provisioning.progress import BarProgress, BatchProgress, JsonProgress
from provisioning.release.images import listed_image
from provisioning.release.signed_document import parse_signers
from provisioning.targets import Disk
from provisioning.wifi import Network, network_of
from provisioning.writer import Card, Writer, probe, verify

LSBLK_S = 20.0
STOPPED = 130
MAX_INPUT_BYTES = 64 * 1024


@quiet_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except Cancelled as error:
        print(f"doorward-flash: {error}", file=sys.stderr)
        return STOPPED
    except ProvisioningError as error:
        print(f"doorward-flash: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return STOPPED
    return code


def _list(options: argparse.Namespace) -> int:
    disks = list_disks()
    if options.json:
        rows = [
            {
                "path": disk.path,
                "size": disk.size,
                "vendor": disk.vendor,
                "model": disk.model,
                "serial": disk.serial,
                "refused": disk.refused,
            }
            for disk in disks
        ]
        print(json.dumps(rows, indent=2))
        return 0
    able = [disk for disk in disks if disk.refused is None]
    for disk in able:
        print(f"{disk.label}  (serial {disk.serial or 'unknown'})")
    if not able:
        print("There is no card to flash. Put one into a reader, then look again.")
    others = [disk for disk in disks if disk.refused is not None]
    if others:
        print("\nNever overwritten:")
        for disk in others:
            print(f"  {disk.label}: {disk.refused}")
    return 0


def _flash(options: argparse.Namespace) -> int:
    promised = _promised(options)
    with Image(options.image) as image:
        check_base(image)
        disk = _target(options)
        if not options.yes:
            _confirm(disk)
        if not options.allow_file:
            _check_same(disk)
        progress = JsonProgress() if options.json else BarProgress()
        with Card(Path(disk.path)) as card, progress:
            writer = Writer(image, card, progress.show)
            with _stopping(writer):
                if options.probe:
                    probe(card)
                written, first = writer.write(sha256=promised)
                writer.read_back(written, first)
                writer.finish(first)
        progress.done(disk.path, written)
    return 0


def _promised(options: argparse.Namespace) -> str | None:
    """Return the unpacked image's SHA-256 that was given, or that a signed list promises."""
    if options.list is None:
        digest: str | None = options.sha256
        return digest
    if options.signers is None:
        raise ReleaseRefused("a signed list needs --signers: the file that says whose keys count")
    signers = parse_signers(_read(options.signers, "signers' file").decode(errors="replace"))
    return listed_image(_read(options.list, "signed list"), signers, options.image).sha256


def _batch(options: argparse.Namespace) -> int:
    promised = _promised(options)
    with Image(options.image) as image:
        check_base(image)
    known = list_disks()
    disks = [targets.pick(known, path) for path in dict.fromkeys(options.disks)]
    invited = [
        (path.stem, _invitation(options, str(path)))
        for path in sorted(options.invitations.glob("*.json"))
    ]
    if not invited:
        raise LedgerRefused(f"{options.invitations} has no invitations (NAME.json, one a doorbell)")
    if not options.yes:
        for disk in disks:
            _confirm(disk)
    common = _wishes(options, serial=invited[0][0], invitation=invited[0][1])
    claims = [(serial, invitation.claim) for serial, invitation in invited]
    with open_ledger(options.ledger) as ledger, BatchProgress(as_json=options.json) as progress:
        batch = Batch(
            options.image,
            ledger,
            sha256=promised,
            wall_ms=lambda: time.time_ns() // 1_000_000,
            check_same=_check_same,
            progress_of=progress.of,
        )
        with _stopping(batch):
            outcomes = batch.run(orders_of(disks, claims, common, ledger))
    for outcome in outcomes:
        name = outcome.order.wishes.serial
        print(f"{outcome.order.disk.path}: {outcome.why or f'done, it is {name}'}")
    return int(any(outcome.why is not None for outcome in outcomes))


def _customise(options: argparse.Namespace) -> int:
    invitation = _invitation(options, options.invitation)
    serial = options.serial or invitation.name
    if serial is None:
        raise WishRefused("the doorbell needs a name, as on its label; give --serial")
    wishes = _wishes(options, serial=serial, invitation=invitation)
    names = customise(Path(options.disk), wishes, at=datetime.now().astimezone())
    ends = datetime.fromtimestamp(wishes.claim.expires_ms / 1000).astimezone()
    print(f"{options.disk}: {len(names)} files are on the card, and were read back.")
    print(
        f"Its claim enrols one doorbell, once, for whoever holds the card, until {ends:%Y-%m-%d}. "
        "A lost card is a lost Wi-Fi password: what is deleted stays in flash memory."
    )
    return 0


def _wishes(options: argparse.Namespace, *, serial: str, invitation: Invitation) -> Wishes:
    """Return what was asked for: an option goes before what the invitation says."""
    policy, key = invitation.policy, invitation.ssh_key
    if options.policy is not None:
        policy = _read(options.policy, "policy").decode(errors="replace")
    if options.ssh_key is not None:
        key = _read(options.ssh_key, "SSH key").decode(errors="replace").strip()
    return Wishes(
        serial=serial,
        claim=invitation.claim,
        policy=None if policy is None else policy.encode(),
        network=_network(options) or invited_network(invitation),
        ssh_key=key,
    )


def _invitation(options: argparse.Namespace, given: str) -> Invitation:
    return invitation_of(given, relay=options.relay, now_ms=time.time_ns() // 1_000_000)


def _network(options: argparse.Namespace) -> Network | None:
    if options.ssid is None:
        return None
    if options.password_file is not None:
        password = _read(options.password_file, "password").decode(errors="replace").rstrip("\n")
    elif sys.stdin.isatty():
        password = getpass.getpass(f"Password of {options.ssid}: ")
    else:
        raise WishRefused("nobody is there to type the password; give --password-file")
    return network_of(
        options.ssid,
        password,
        country=options.country or "",
        security="wpa3" if options.wpa3 else "wpa2",
        is_hidden=options.hidden,
    )


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise WishRefused(f"the {what} {path} can't be read: {error.strerror}") from error
    if len(data) > MAX_INPUT_BYTES:
        raise WishRefused(f"the {what} {path} has more than {MAX_INPUT_BYTES} bytes")
    return data


def _label(options: argparse.Namespace) -> int:
    out: Path = options.out
    labels = labels_of(options.serials, options.link)
    match out.suffix.lower():
        case ".pdf":
            sheets = {out: pdf_sheets(labels)}
        case ".svg":
            sheets = {
                out.with_stem(f"{out.stem}-{number}"): sheet
                for number, sheet in enumerate(svg_sheets(labels), 1)
            }
        case _:
            raise WishRefused(f"{out} ends neither with .pdf nor with .svg")
    for path, data in sheets.items():
        try:
            path.write_bytes(data)
        except OSError as error:
            raise WishRefused(f"{path} can't be written: {error.strerror}") from error
        print(path)
    return 0


def _verify(options: argparse.Namespace) -> int:
    progress = JsonProgress() if options.json else BarProgress()
    with Image(options.image) as image, Card(options.disk) as card, progress:
        written = verify(image, card, progress.show)
    progress.done(str(options.disk), written)
    return 0


def list_disks() -> list[Disk]:
    """Return this machine's disks; raise TargetRefused if they can't be listed."""
    try:
        done = subprocess.run(targets.COMMAND, check=True, capture_output=True, timeout=LSBLK_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise TargetRefused(f"lsblk doesn't work here ({error}); is util-linux there?") from error
    return targets.parse_disks(done.stdout)


def _target(options: argparse.Namespace) -> Disk:
    if options.allow_file:
        path = Path(options.disk or "")
        if not path.is_file():
            raise TargetRefused(f"{path} is no file; make one with truncate")
        size = path.stat().st_size
        return Disk(path=str(path), size=size, vendor="", model="file", serial="", refused=None)
    return targets.pick(list_disks(), options.disk)


def _confirm(disk: Disk) -> None:
    """Have a person confirm; an unusually large disk by typing its model."""
    if not sys.stdin.isatty():
        raise TargetRefused("nobody is there to confirm; say --yes if that is meant")
    print(f"All that is on this card will be lost:\n\n    {disk.label}\n")
    wanted = disk.model if disk.is_unusual and disk.model else "yes"
    if input(f"Type {wanted!r} to overwrite it: ").strip() != wanted:
        raise TargetRefused("not confirmed; nothing was written")


def _check_same(disk: Disk) -> None:
    """Look again, just before it is opened: names move when cards are changed."""
    for other in list_disks():
        if other.path == disk.path:
            if other.refused is None and other.is_same(disk):
                return
            raise TargetRefused(f"{disk.path} is another card now; nothing was written")
    raise TargetRefused(f"{disk.path} is gone; nothing was written")


@contextmanager
def _stopping(writer: Writer | Batch) -> Iterator[None]:
    """Let Ctrl-C, and an end by a signal, leave a blank card."""

    def stop(*_: object) -> None:
        writer.cancel()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="doorward-flash",
        description=__doc__,
        epilog=ZERO,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser(
        "list", help="show which disks may be flashed, and why others not"
    )
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.set_defaults(run=_list)

    flash = commands.add_parser("flash", help="write an image to a card, and read it back")
    flash.add_argument("image", type=Path, metavar="IMAGE", help="an .img, .img.xz or .img.zst")
    flash.add_argument("disk", nargs="?", metavar="DISK", help="the card; needed among several")
    _add_promise(flash)
    flash.add_argument("--probe", action="store_true", help="try the card at 64 places first")
    flash.add_argument("--yes", action="store_true", help="don't ask")
    flash.add_argument("--json", action="store_true", help="progress for programs, a line each")
    flash.add_argument(
        "--allow-file", action="store_true", help="write into a file, to try it without a card"
    )
    flash.set_defaults(run=_flash)

    give = commands.add_parser("customise", help="give a flashed card its claim and its Wi-Fi")
    give.add_argument("disk", metavar="DISK", help="the card, or an image")
    give.add_argument("--serial", help="the doorbell's name, as on its label")
    give.add_argument(
        "--invitation",
        required=True,
        metavar="FILE-OR-LINK",
        help="the relay's doorward.json, its link, or - for either on standard input (a link in an "
        "argument is seen by all who use this machine); until it is used, for at most 14 days, "
        "whoever holds it can enrol a doorbell",
    )
    _add_wishes(give)
    give.set_defaults(run=_customise)

    batch = commands.add_parser("batch", help="make many cards at once, with a ledger")
    batch.add_argument("image", type=Path, metavar="IMAGE", help="an .img, .img.xz or .img.zst")
    batch.add_argument("disks", nargs="+", metavar="DISK", help="each card to overwrite")
    batch.add_argument(
        "--invitations",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="NAME.json, one a doorbell",
    )
    batch.add_argument("--ledger", type=Path, required=True, help="what was issued; kept for good")
    _add_promise(batch)
    _add_wishes(batch)
    batch.add_argument("--yes", action="store_true", help="don't ask")
    batch.add_argument("--json", action="store_true", help="progress for programs, a line each")
    batch.set_defaults(run=_batch)

    label = commands.add_parser("label", help="print stickers with serial and service link")
    label.add_argument("serials", nargs="+", metavar="SERIAL")
    label.add_argument("--link", required=True, metavar="URL", help="with {serial} in it")
    label.add_argument("--out", type=Path, required=True, help="a .pdf, or an .svg (one a sheet)")
    label.set_defaults(run=_label)

    check = commands.add_parser("verify", help="compare a flashed card with its image")
    check.add_argument("image", type=Path, metavar="IMAGE")
    check.add_argument("disk", type=Path, metavar="DISK")
    check.add_argument("--json", action="store_true", help="progress for programs, a line each")
    check.set_defaults(run=_verify)
    return parser


def _add_promise(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sha256", metavar="HEX", help="what the unpacked image must have")
    parser.add_argument("--list", type=Path, help="a signed list of images, instead of --sha256")
    parser.add_argument("--signers", type=Path, help="whose keys count for the list, and how many")


def _add_wishes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--relay", metavar="URL", help="refuse an invitation to another relay")
    parser.add_argument("--policy", type=Path, help="instead of the invitation's: policy.txt")
    parser.add_argument("--ssid", help="the Wi-Fi network; none: by cable, or later")
    parser.add_argument("--country", help="where the Wi-Fi is, such as SE")
    parser.add_argument("--password-file", type=Path, help="instead of typing it")
    parser.add_argument("--wpa3", action="store_true", help="the network is WPA3 only")
    parser.add_argument("--hidden", action="store_true", help="the network doesn't show its name")
    parser.add_argument("--ssh-key", type=Path, help="a public key: switches SSH on, for it alone")


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
