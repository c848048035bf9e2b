"""The command line of `doorward-flash`: makes cards for doorbells, on Linux.

    doorward-flash list                        which disks may be flashed, and why others may not
    doorward-flash flash IMAGE [DISK] [--invitation FILE ...]
                                               write an image to a card, read it back, customise it
    doorward-flash customise DISK [--invitation FILE ...]
                                               give a flashed card its claim and its Wi-Fi
    doorward-flash batch IMAGE DISK... --invitations FOLDER --ledger FILE
                                               many cards at once, each with a claim of its own
    doorward-flash doctor DISK-OR-IMAGE        say why a card doesn't become a doorbell
    doorward-flash label SERIAL... --link URL --out FILE
                                               stickers with serial and service link, PDF or SVG
    doorward-flash verify IMAGE DISK           compare an uncustomised card with its image

Nothing is overwritten but a removable disk that holds nothing mounted, and that a person confirmed.
What isn't said by flags or by --answers is asked, if somebody is there.
Exit codes: 0 done, 1 it couldn't be done, 2 a bad argument, 130 stopped.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import get_args

import msgspec

from firmware.protocol.command_line import ZERO, quiet_pipe
from provisioning import targets
from provisioning.answers import (
    BOARDS,
    Answers,
    ask_missing,
    read_answers,
    read_file,
    wishes_of,
)
from provisioning.batch import Batch, orders_of
from provisioning.bundle_on_card import LACKING, CardBundle, card_bundle, carries_bundle
from provisioning.cloud_init import Wishes
from provisioning.customise import customise
from provisioning.doctor import examine_path
from provisioning.errors import (
    Cancelled,
    LedgerRefused,
    ProvisioningError,
    ReleaseRefused,
    TargetRefused,
    WishRefused,
)
from provisioning.flasher import Flasher
from provisioning.image import Image, beginning, check_base
from provisioning.ledger import open_ledger
from provisioning.progress import BarProgress, BatchProgress, JsonProgress
from provisioning.release.bundle import Target
from provisioning.release.images import listed_image
from provisioning.release.signed_document import parse_signers
from provisioning.targets import Disk
from provisioning.terminal import StandardTerminal, confirm, is_there, stopping
from provisioning.writer import Card, verify

LSBLK_S = 20.0
STOPPED = 130
LOOP_MAJOR = 7


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
        print("\ndoorward-flash: stopped; nothing was written", file=sys.stderr)
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
        bundle = _bundle(options)
        is_customised = bool(options.invitation or options.answers)
        if is_customised and bundle is None:
            _check_carries(image)
        disk = _target(options)
        wishes = _wishes(options) if is_customised else None
        if not options.yes:
            confirm(disk)
        if not options.allow_file:
            _check_same(disk)
        progress = JsonProgress() if options.json else BarProgress()
        flasher = Flasher(image, Path(disk.path), progress.show)
        with stopping(flasher):
            with progress:
                written = flasher.make(
                    sha256=promised,
                    wishes=wishes,
                    bundle=bundle,
                    at=datetime.now().astimezone(),
                    is_probed=options.probe,
                )
            progress.done(disk.path, written)
            if wishes is not None and not options.json:
                print(_said_of(wishes))
    return 0


def _promised(options: argparse.Namespace) -> str | None:
    """Return the unpacked image's SHA-256 that was given, or that a signed list promises."""
    if options.list is None:
        digest: str | None = options.sha256
        return digest
    if options.signers is None:
        raise ReleaseRefused("a signed list needs --signers: the file that says whose keys count")
    signers = parse_signers(read_file(options.signers, "signers' file").decode(errors="replace"))
    return listed_image(read_file(options.list, "signed list"), signers, options.image).sha256


def _bundle(options: argparse.Namespace) -> CardBundle | None:
    """Return the bundle that was given, checked; None: the image must have one."""
    if options.bundle is None:
        return None
    return card_bundle(options.bundle, options.signers, target=options.target)


def _check_carries(image: Image) -> None:
    if not carries_bundle(beginning(image)):
        raise ReleaseRefused(f"{image.path.name} {LACKING}")


def _batch(options: argparse.Namespace) -> int:
    promised = _promised(options)
    bundle = _bundle(options)
    with Image(options.image) as image:
        check_base(image)
        if bundle is None:
            _check_carries(image)
    known = list_disks()
    disks = [targets.pick(known, path) for path in dict.fromkeys(options.disks)]
    wishes = _all_wishes(options)
    if not options.yes:
        for disk in disks:
            confirm(disk)
    with open_ledger(options.ledger) as ledger, BatchProgress(as_json=options.json) as progress:
        batch = Batch(
            options.image,
            ledger,
            sha256=promised,
            wall_ms=_wall_ms,
            check_same=_check_same,
            progress_of=progress.of,
            bundle=bundle,
        )
        orders = orders_of(disks, wishes, ledger)
        with stopping(batch):
            outcomes = batch.run(orders)
            for outcome in outcomes:
                name = outcome.order.wishes.serial
                print(f"{outcome.order.disk.path}: {outcome.why or f'done, it is {name}'}")
    if batch.is_cancelled and any(outcome.why is not None for outcome in outcomes):
        return STOPPED
    return int(any(outcome.why is not None for outcome in outcomes))


def _all_wishes(options: argparse.Namespace) -> list[Wishes]:
    """Return what each doorbell of a batch is to have; all is checked before a disk is opened."""
    files = sorted(options.invitations.glob("*.json"))
    if not files:
        raise LedgerRefused(f"{options.invitations} has no invitations (NAME.json, one a doorbell)")
    common, now_ms = _answers(options), _wall_ms()
    if common.ssid and common.password is None and is_there() and not options.yes:
        first = msgspec.structs.replace(common, invitation=str(files[0]), serial=files[0].stem)
        common = ask_missing(first, StandardTerminal(), now_ms=now_ms)
    return [
        wishes_of(
            msgspec.structs.replace(common, invitation=str(path), serial=path.stem), now_ms=now_ms
        )
        for path in files
    ]


def _customise(options: argparse.Namespace) -> int:
    bundle = _bundle(options)
    wishes = _wishes(options)
    stop = threading.Event()
    with stopping(_Stop(stop)):
        names = customise(
            Path(options.disk),
            wishes,
            at=datetime.now().astimezone(),
            bundle=bundle,
            is_cancelled=stop,
        )
        print(f"{options.disk}: {len(names)} files are on the card, and were read back.")
        print(_said_of(wishes))
    return 0


class _Stop:
    def __init__(self, event: threading.Event) -> None:
        self.cancel = event.set


def _said_of(wishes: Wishes) -> str:
    """Return what a person must know of a card that was customised."""
    ends = datetime.fromtimestamp(wishes.claim.expires_ms / 1000).astimezone()
    said = (
        f"{wishes.serial}: put the card in, and give it power.\n"
        "Its claim is a bearer secret until it is used: whoever holds the card enrols one doorbell "
        f"with it, once, until {ends:%Y-%m-%d}."
    )
    if wishes.network is None:
        return said
    what = "password" if wishes.network.security == "wpa3" else "derived key"
    return (
        f"{said}\nThe Wi-Fi's {what} on it joins {wishes.network.ssid} as its password does. What "
        "is deleted from a card stays in flash memory: a lost card is a lost Wi-Fi password."
    )


def _wishes(options: argparse.Namespace) -> Wishes:
    answers = _answers(options)
    if is_there() and not options.yes and options.answers is None:
        answers = ask_missing(answers, StandardTerminal(), now_ms=_wall_ms())
    return wishes_of(answers, now_ms=_wall_ms())


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _answers(options: argparse.Namespace) -> Answers:
    """Return what the file of answers says, and the flags, which count more."""
    answers = Answers() if options.answers is None else read_answers(options.answers)
    given = {
        key: value
        for key in Answers.__struct_fields__
        if (value := getattr(options, key, None)) is not None
    }
    if options.password_file is not None:
        password = read_file(options.password_file, "password").decode(errors="replace")
        given["password"] = password.removesuffix("\n")
    return msgspec.structs.replace(answers, **given)


def _doctor(options: argparse.Namespace) -> int:
    findings = examine_path(options.disk, now_ms=_wall_ms())
    wrong = [one for one in findings if one.is_fault]
    if options.json:
        rows = [{"code": one.code, "text": one.text, "do": one.do} for one in findings]
        print(json.dumps({"path": str(options.disk), "findings": rows}, indent=2))
        return int(bool(wrong))
    if wrong:
        print(f"{options.disk}: what is wrong, the likeliest cause first.\n")
    else:
        print(f"{options.disk}: nothing wrong can be seen from outside.\n")
    for number, one in enumerate(wrong, 1):
        print(f"{number}. {one.text}\n   {one.do}")
    for one in findings:
        if not one.is_fault:
            print(f"-  {one.text}")
    return int(bool(wrong))


def _label(options: argparse.Namespace) -> int:
    from provisioning.labels import labels_of, pdf_sheets, svg_sheets  # segno, reportlab

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
        try:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                is_loop = os.major(os.fstat(file.fileno()).st_rdev) == LOOP_MAJOR
        except OSError as error:
            raise TargetRefused(f"{path} can't be opened: {error.strerror}") from error
        if not path.is_file() and not is_loop:
            raise TargetRefused(
                f"{path} is neither a file nor a loop device; leave --allow-file out"
            )
        return Disk(path=str(path), size=size, vendor="", model="file", serial="", refused=None)
    return targets.pick(list_disks(), options.disk)


def _check_same(disk: Disk) -> None:
    """Look again, just before it is opened: names move when cards are changed."""
    for other in list_disks():
        if other.path == disk.path:
            if other.refused is None and other.is_same(disk):
                return
            raise TargetRefused(f"{disk.path} is another card now; nothing was written")
    raise TargetRefused(f"{disk.path} is gone; nothing was written")


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
    _add_bundle(flash)
    flash.add_argument("--probe", action="store_true", help="try the card at 64 places first")
    flash.add_argument("--yes", action="store_true", help="don't ask")
    flash.add_argument("--json", action="store_true", help="progress for programs, a line each")
    flash.add_argument(
        "--allow-file",
        action="store_true",
        help="write into a file or a loop device, to try it without a card",
    )
    _add_invitation(flash)
    _add_wishes(flash)
    flash.set_defaults(run=_flash)

    give = commands.add_parser("customise", help="give a flashed card its claim and its Wi-Fi")
    give.add_argument("disk", metavar="DISK", help="the card, or an image")
    _add_bundle(give)
    _add_invitation(give)
    give.add_argument("--yes", action="store_true", help="don't ask")
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
    _add_bundle(batch)
    _add_wishes(batch)
    batch.add_argument("--yes", action="store_true", help="don't ask")
    batch.add_argument("--json", action="store_true", help="progress for programs, a line each")
    batch.set_defaults(run=_batch)

    doctor = commands.add_parser("doctor", help="say why a card doesn't become a doorbell")
    doctor.add_argument("disk", type=Path, metavar="DISK-OR-IMAGE", help="it is only read")
    doctor.add_argument("--json", action="store_true", help="for programs")
    doctor.set_defaults(run=_doctor)

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


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle",
        type=Path,
        help="what the first boot installs, for an image that has none; checked before a disk is "
        "opened",
    )
    parser.add_argument(
        "--signers", type=Path, help="whose keys count for bundle and list, and how many of them"
    )
    parser.add_argument(
        "--target",
        choices=get_args(Target),
        default="aarch64-cp313",
        help="which board the bundle has to be for (x86_64-cp313: a virtual machine)",
    )


def _add_invitation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--serial", help="the doorbell's name, as on its label")
    parser.add_argument(
        "--invitation",
        metavar="FILE-OR-LINK",
        help="the relay's doorward.json, its link, or - for either on standard input (a link in an "
        "argument is seen by all who use this machine); until it is used, for at most 14 days, "
        "whoever holds it can enrol a doorbell",
    )


def _add_wishes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--relay", metavar="URL", help="refuse an invitation to another relay")
    parser.add_argument("--policy", help="instead of the invitation's: policy.txt")
    parser.add_argument("--answers", type=Path, help="a TOML file with all that is asked")
    parser.add_argument("--ssid", help="the Wi-Fi network; none: by cable, or later")
    parser.add_argument("--country", help="where the Wi-Fi is, such as SE")
    parser.add_argument("--password-file", type=Path, help="instead of typing it")
    parser.add_argument(
        "--wpa3",
        action="store_const",
        const="wpa3",
        dest="security",
        help="the network is WPA3 only",
    )
    parser.add_argument(
        "--hidden", action="store_true", default=None, help="the network doesn't show its name"
    )
    parser.add_argument("--ssh-key", help="a .pub file: switches SSH on, for that key alone")
    parser.add_argument("--board", choices=BOARDS, help="which Raspberry Pi it is")
    parser.add_argument(
        "--sound", action="store_true", default=None, help="a microphone or loudspeaker is fitted"
    )
    parser.add_argument(
        "--rotation",
        type=int,
        choices=(0, 90, 180, 270),
        help="degrees by which its picture is turned to be upright",
    )


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
