"""The command line of `doorward-release`: makes and signs what others install.

    doorward-release key NAME --out ada.key          make a signer's key; print its line for signers
    doorward-release bundle --target TARGET --out bundle.tar
                                                     gather what a first boot installs, unsigned
    doorward-release debs --base IMAGE --out FOLDER  fetch the Debian packages that an image lacks,
                                                     for `bundle --debs FOLDER`
    doorward-release sign ada.key bundle.tar         add one signature; each signer does so alone
    doorward-release publish bundle.tar --out published.tar
                                                     leave out what isn't ours to hand on
    doorward-release complete published.tar          fetch that again, held to the signed digests
    doorward-release image BASE --bundle bundle.tar --signers signers.txt --out doorward.img.xz
                                                     a card's image for flasher and Imager, with its
                                                     manifest and a list of images to be signed
    doorward-release container --out relay.oci.tar   the relay's OCI image, from Debian's packages
    doorward-release check bundle.tar --signers signers.txt
                                                     say what a bundle is, once all of it holds

Exit codes: 0 done, 1 it couldn't be done, 2 a bad argument, 130 stopped.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from firmware.protocol.command_line import ZERO, quiet_pipe
from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.signed_note import NoteSigner
from provisioning.bundle_on_card import card_bundle
from provisioning.errors import ProvisioningError, ReleaseRefused
from provisioning.progress import BarProgress
from provisioning.release.bundle import (
    DEBS,
    FIRST_BOOT,
    NOTE,
    PURPOSE,
    REQUIREMENTS,
    WHEELS,
    BundleNote,
    Target,
    check_bundle,
    check_unverified,
    file_of,
    is_fetched,
    note_of,
    order_of,
    replace_note,
    write_bundle,
)
from provisioning.release.card_image import make_image
from provisioning.release.container import make_container
from provisioning.release.debian import carried_debs, fetch_debs, status_of
from provisioning.release.first_boot_zip import pack_first_boot
from provisioning.release.imager import SUFFIX, imager_manifest
from provisioning.release.images import PURPOSE as IMAGES_PURPOSE
from provisioning.release.images import ImageList, ListedImage
from provisioning.release.signed_document import (
    MAX_BYTES,
    parse_signers,
    unsigned_document,
    with_signature,
)
from provisioning.release.wheels import (
    BOARDS,
    Checkout,
    fetch_wheels,
    requirements_text,
    wheel_requirement,
)

STOPPED = 130
MAX_TEXT_BYTES = 64 * 1024


@quiet_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except ProvisioningError as error:
        print(f"doorward-release: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return STOPPED
    return code


def _key(options: argparse.Namespace) -> int:
    try:
        signer = NoteSigner.generate(options.name, "ed25519")
        with os.fdopen(
            os.open(options.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
        ) as file:
            file.write(signer.saved() + "\n")
    except WireError as error:
        raise ReleaseRefused(str(error)) from error
    except OSError as error:
        raise ReleaseRefused(f"{options.out} can't be written: {error.strerror}") from error
    print(signer.key.vkey)
    print(f"{options.out} is secret. The line above belongs in signers.txt.", file=sys.stderr)
    return 0


def _bundle(options: argparse.Namespace) -> int:
    checkout, board = Checkout(root=options.root), BOARDS[options.target]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        requirements = checkout.requirements(board, options.extra)
        print(f"fetching {len(requirements)} wheels for {options.target}", file=sys.stderr)
        wheels = [*fetch_wheels(requirements, board, folder), checkout.build(folder)]
        files = {f"{WHEELS}/{wheel.name}": wheel for wheel in wheels}
        files[REQUIREMENTS] = folder / REQUIREMENTS
        files[REQUIREMENTS].write_text(requirements_text(wheels), "utf-8")
        files[FIRST_BOOT] = folder / FIRST_BOOT
        files[FIRST_BOOT].write_bytes(pack_first_boot())
        carried = {} if options.debs is None else carried_debs(options.debs)
        files |= {name: path for name, (_, path) in carried.items()}
        packages = [package for package, _ in carried.values()]
        names = {package.name for package in packages}
        note = BundleNote(
            version=options.version or checkout.version,
            made_ms=checkout.made_ms(),
            target=options.target,
            files=order_of([file_of(name, path) for name, path in files.items()]),
            debian=(*packages, *(one for one in board.debian if one.name not in names)),
        )
        write_bundle(options.out, unsigned_document(note, PURPOSE), files)
    print(f"{options.out}: {_described(note)}, {options.out.stat().st_size / 1e6:.1f} MB")
    for package in note.debian:
        if package.file is None:
            print(f"  not in it, the board's system must have it: {package.name}")
    print("It isn't signed yet: doorward-release sign KEYFILE FILE")
    return 0


def _debs(options: argparse.Namespace) -> int:
    if (options.base is None) == (options.status is None):
        raise ReleaseRefused("give --base IMAGE, or --status FILE: what is installed there already")
    status = options.status.read_bytes() if options.status else status_of(options.base)
    packages = options.packages or [one.name for one in BOARDS[options.target].debian]
    missing = fetch_debs(
        packages, options.out, target=options.target, status=status, sources=options.sources
    )
    debs = sorted(options.out.glob("*.deb"))
    size = sum(deb.stat().st_size for deb in debs)
    print(f"{options.out}: {len(debs)} packages, {size / 1e6:.1f} MB")
    for name in missing:
        print(
            f"{name} isn't in the archives that answer here; the first boot asks the board's own "
            "archives for it, and needs the internet then"
        )
    return 0


def _sign(options: argparse.Namespace) -> int:
    signer = _signer(options.key)
    path: Path = options.file
    if _is_bundle(path):
        checked = check_unverified(path)
        print(f"{path}: {_described(checked.note)}")
        replace_note(path, with_signature(note_of(path), signer))
    else:
        data = with_signature(_read(path, MAX_BYTES), signer)
        print(data.decode(errors="replace"))
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(data)
        new.replace(path)
    print(f"signed by {signer.key.name}")
    return 0


def _publish(options: argparse.Namespace) -> int:
    checked = check_unverified(options.file)
    with tempfile.TemporaryDirectory() as made:
        files = checked.unpack(Path(made))
        kept = {name: path for name, path in files.items() if not is_fetched(name)}
        write_bundle(options.out, note_of(options.file), kept)
    for name in sorted(set(files) - set(kept)):
        print(f"left out: {name}")
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")
    return 0


def _complete(options: argparse.Namespace) -> int:
    checked = check_unverified(options.file, may_lack=True)
    if not checked.lacking:
        print(f"{options.file} lacks nothing")
        return 0
    board = BOARDS[checked.note.target]
    wheels = [one for one in checked.lacking if one.name.startswith(f"{WHEELS}/")]
    debs = [one for one in checked.lacking if one not in wheels]
    with tempfile.TemporaryDirectory() as made:
        files = checked.unpack(Path(made))
        fetched = Path(made) / WHEELS
        if wheels:
            print(f"fetching {', '.join(one.name for one in wheels)}", file=sys.stderr)
            fetch_wheels([wheel_requirement(one) for one in wheels], board, fetched)
        for one in wheels:
            files[one.name] = fetched / one.name.removeprefix(f"{WHEELS}/")
        for one in debs:
            files[one.name] = _found_deb(options.debs, one.name)
        for one in checked.lacking:
            if not files[one.name].is_file() or file_of(one.name, files[one.name]) != one:
                raise ReleaseRefused(f"what was fetched for {one.name} isn't what was signed")
        write_bundle(options.file, note_of(options.file), files)
    print(f"{options.file}: complete, {options.file.stat().st_size / 1e6:.1f} MB")
    return 0


def _found_deb(folder: Path | None, name: str) -> Path:
    if folder is None:
        raise ReleaseRefused(
            f"the bundle lacks {name}; fetch it by `doorward-release debs`, and name its folder"
        )
    return folder / name.removeprefix(f"{DEBS}/")


def _image(options: argparse.Namespace) -> int:
    bundle = card_bundle(options.bundle, options.signers, target=options.target)
    note = bundle.checked.note
    with BarProgress() as progress:
        made = make_image(options.base, bundle, options.out, progress=progress.show_any)
    listed = []
    for one in made:
        print(f"{one.path}: {one.packed_size / 1e6:.1f} MB, SHA-256 {one.packed_sha256}")
        name = f"Doorward {note.version}"
        url = f"{options.url}{one.path.name}" if options.url else one.path.resolve().as_uri()
        listed.append(
            ListedImage(
                name=name,
                url=url,
                packed_size=one.packed_size,
                packed_sha256=one.packed_sha256,
                size=one.size,
                sha256=one.sha256,
            )
        )
    print(f"unpacked: {made[0].size / 1e9:.2f} GB, SHA-256 {made[0].sha256}")
    best = next((one for one in listed if one.url.endswith(".xz")), listed[0])
    manifest = options.out[0].with_suffix("").with_suffix(SUFFIX)
    manifest.write_bytes(
        imager_manifest(best, made_ms=note.made_ms, icon=options.icon, website=options.website)
    )
    images = ImageList(made_ms=note.made_ms, images=tuple(listed))
    options.out[0].with_suffix("").with_suffix(".images").write_bytes(
        unsigned_document(images, IMAGES_PURPOSE)
    )
    print(f"{manifest}: open it in Raspberry Pi Imager")
    for package in note.debian:
        print(f"the board's system must have {package.name}; the first boot fetches it if need be")
    return 0


def _container(options: argparse.Namespace) -> int:
    if options.out.exists():
        raise ReleaseRefused(f"{options.out} is there already")
    if os.geteuid() != 0:
        raise ReleaseRefused("an image is made as root: its files belong to several users")
    make_container(Checkout(root=options.root), BOARDS[options.target], options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")
    print(f"podman load --input {options.out}, or skopeo copy oci-archive:{options.out} …")
    return 0


def _check(options: argparse.Namespace) -> int:
    signers = parse_signers(_read(options.signers, MAX_TEXT_BYTES).decode(errors="replace"))
    checked = check_bundle(options.file, signers, target=options.target)
    print(f"{options.file}: {_described(checked.note)}, {checked.size / 1e6:.1f} MB")
    print(f"signed by at least {signers.quorum} of {len(signers.keys)}, and whole")
    return 0


def _described(note: BundleNote) -> str:
    return f"Doorward {note.version} for {note.target}, {len(note.files)} files"


def _is_bundle(path: Path) -> bool:
    return _read(path, len(NOTE), is_longer=True) == NOTE.encode()


def _signer(path: Path) -> NoteSigner:
    try:
        signer = NoteSigner.parse(_read(path, MAX_TEXT_BYTES).decode(errors="replace").strip())
    except WireError as error:
        raise ReleaseRefused(f"{path} is no signer's key: {error}") from error
    if signer.key.kind != "ed25519":
        raise ReleaseRefused(f"{path} is a witness's key, which signs no release")
    return signer


def _read(path: Path, limit: int, *, is_longer: bool = False) -> bytes:
    """Return a file of at most `limit` bytes, or its first ones if it may be longer."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ReleaseRefused(f"{path} can't be read: {error.strerror}") from error
    if is_longer:
        return data[:limit]
    if len(data) > limit:
        raise ReleaseRefused(f"{path} has more than {limit} bytes")
    return data


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="doorward-release",
        description=__doc__,
        epilog=ZERO,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    key = commands.add_parser("key", help="make a signer's key; print its line for signers.txt")
    key.add_argument("name", help="such as release.example/ada")
    key.add_argument("--out", type=Path, required=True, metavar="KEYFILE", help="its secret half")
    key.set_defaults(run=_key)

    bundle = commands.add_parser("bundle", help="gather what a first boot installs, unsigned")
    bundle.add_argument("--target", choices=get_args(Target), default="aarch64-cp313")
    bundle.add_argument("--out", type=Path, required=True, metavar="FILE")
    bundle.add_argument(
        "--extra", action="append", default=[], metavar="NAME", help="such as replay, for a proof"
    )
    bundle.add_argument(
        "--debs", type=Path, metavar="FOLDER", help="Debian packages to carry, by `debs`"
    )
    bundle.add_argument("--version", help="instead of the project's")
    bundle.add_argument("--root", type=Path, default=Path(), help="the checkout; here by itself")
    bundle.set_defaults(run=_bundle)

    debs = commands.add_parser("debs", help="fetch the Debian packages that a base image lacks")
    debs.add_argument("packages", nargs="*", metavar="PACKAGE", help="the board's by themselves")
    debs.add_argument("--base", type=Path, metavar="IMAGE", help="an unpacked base image")
    debs.add_argument("--status", type=Path, help="its /var/lib/dpkg/status, instead")
    debs.add_argument("--sources", type=Path, help="a sources.list, instead of this machine's")
    debs.add_argument("--target", choices=get_args(Target), default="aarch64-cp313")
    debs.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    debs.set_defaults(run=_debs)

    sign = commands.add_parser("sign", help="add one signature to a bundle or a list of images")
    sign.add_argument("key", type=Path, metavar="KEYFILE")
    sign.add_argument("file", type=Path, metavar="FILE")
    sign.set_defaults(run=_sign)

    publish = commands.add_parser("publish", help="leave out what isn't ours to hand on")
    publish.add_argument("file", type=Path, metavar="FILE")
    publish.add_argument("--out", type=Path, required=True, metavar="FILE")
    publish.set_defaults(run=_publish)

    complete = commands.add_parser("complete", help="fetch what a published bundle leaves out")
    complete.add_argument("file", type=Path, metavar="FILE")
    complete.add_argument("--debs", type=Path, metavar="FOLDER", help="Debian packages, if named")
    complete.set_defaults(run=_complete)

    image = commands.add_parser("image", help="make a card's image, for flasher and Imager")
    image.add_argument("base", type=Path, metavar="BASE", help="Raspberry Pi OS Lite (64-bit)")
    image.add_argument("--bundle", type=Path, required=True)
    image.add_argument("--signers", type=Path, required=True, help="whose keys count, how many")
    image.add_argument("--target", choices=get_args(Target), default="aarch64-cp313")
    image.add_argument(
        "--out",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="an .img.zst (for doorward-flash), .img.xz (for each Imager) or .img; may be given "
        "several times",
    )
    image.add_argument("--url", help="where it will be published; the file's name is added")
    image.add_argument("--icon", default="../icons/use_custom.png", help="for Imager's list")
    image.add_argument("--website", help="for Imager's list")
    image.set_defaults(run=_image)

    container = commands.add_parser("container", help="make the relay's OCI image (root)")
    container.add_argument("--target", choices=get_args(Target), default="x86_64-cp313")
    container.add_argument("--out", type=Path, required=True, metavar="FILE")
    container.add_argument("--root", type=Path, default=Path(), help="the checkout; here by itself")
    container.set_defaults(run=_container)

    check = commands.add_parser("check", help="say what a bundle is, once all of it holds")
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--signers", type=Path, required=True, help="whose keys count, how many")
    check.add_argument("--target", choices=get_args(Target), help="refuse another board's")
    check.set_defaults(run=_check)
    return parser


if __name__ == "__main__":
    sys.exit(main())
