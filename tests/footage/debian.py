"""Fetches vtest.avi and tree.avi out of Debian's package opencv-doc (98 MB, once, into .state/).

Needs apt-get and dpkg-deb (any Debian, Ubuntu or Raspberry Pi OS) and its package lists. Nothing is
installed and no root is needed.
"""

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".state" / "footage"
DATA = "./usr/share/doc/opencv-doc/examples/data/"
NAMES = ("vtest.avi", "tree.avi")
PATIENCE_S = 600


class FootageMissing(Exception):
    """The footage can't be had here; the text says why."""


def footage(name: str) -> Path:
    """Return the path of one of NAMES; raise FootageMissing if it can't be fetched."""
    if not (CACHE / name).exists():
        _fetch()
    return CACHE / name


def _fetch() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as text:
        folder = Path(text)
        _run(["apt-get", "download", "opencv-doc"], folder)
        package = next(folder.glob("opencv-doc_*.deb"), None)
        if package is None:
            raise FootageMissing("apt-get download opencv-doc left no package")
        _extract(package)


def _extract(package: Path) -> None:
    """Only the two films: the package is large."""
    data = _run(["dpkg-deb", "--fsys-tarfile", package.name], package.parent)
    with tarfile.open(fileobj=io.BytesIO(data)) as files:
        for name in NAMES:
            try:
                film = files.extractfile(DATA + name)
            except KeyError:
                film = None
            if film is None:
                raise FootageMissing(f"Debian's opencv-doc has no {name} in it")
            partial = package.parent / name
            partial.write_bytes(film.read())
            partial.replace(CACHE / name)


def _run(command: list[str], folder: Path) -> bytes:
    try:
        done = subprocess.run(
            command, cwd=folder, check=True, capture_output=True, timeout=PATIENCE_S
        )
    except FileNotFoundError as error:
        raise FootageMissing(f"{command[0]} isn't there: this is no Debian") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise FootageMissing(f"{' '.join(command)}: {said[-1] if said else 'failed'}") from error
    except subprocess.TimeoutExpired as error:
        raise FootageMissing(f"{' '.join(command)}: no end after {PATIENCE_S} s") from error
    return done.stdout
