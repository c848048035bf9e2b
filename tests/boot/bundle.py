"""A bundle for the machine that is booted, of this checkout, signed by two signers of the proof.

Kept for as long as nothing that goes into it changes: made once, it needs no network.
"""

import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from provisioning.bundle_on_card import CardBundle, card_bundle
from provisioning.release.bundle import Target
from tests.boot.programs import only_maker, run
from tests.boot.system import REPOSITORY, STATE

SOURCES = ("firmware", "provisioning", "relay", "requirements", "hardware/pins.toml")
SIGNERS = ("ada", "bo")
KEEP = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBundle:
    """A bundle's file, and the file that says whose signatures count."""

    path: Path
    signers: Path
    target: Target

    def for_card(self) -> CardBundle:
        """Return it checked, as a flasher puts it on a card."""
        return card_bundle(self.path, self.signers, target=self.target)


def signed_bundle(
    target: Target = "x86_64-cp313", say: Callable[[str], None] = print
) -> SignedBundle:
    """Return the bundle, made if none is kept; raise Unavailable if it can't be."""
    folder = STATE / f"bundle-{target}-{_digest()}"
    with only_maker(STATE):
        if not folder.exists():
            say("gathering a bundle of this checkout")
            new = folder.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            _make(new, target)
            for old in sorted(STATE.glob(f"bundle-{target}-*"), key=_made_at)[:-KEEP]:
                shutil.rmtree(old)
            new.rename(folder)
    return SignedBundle(path=folder / "bundle.tar", signers=folder / "signers.txt", target=target)


def _make(folder: Path, target: Target) -> None:
    bundle = folder / "bundle.tar"
    lines = [
        _release("key", f"boot.test/{name}", "--out", str(folder / f"{name}.key")).strip()
        for name in SIGNERS
    ]
    (folder / "signers.txt").write_text("\n".join([*lines, f"quorum {len(SIGNERS)}", ""]))
    _release("bundle", "--target", target, "--extra", "replay", "--out", str(bundle))
    for name in SIGNERS:
        _release("sign", str(folder / f"{name}.key"), str(bundle))


def _release(*arguments: str) -> str:
    return run(sys.executable, "-m", "provisioning.release", *arguments, cwd=REPOSITORY)


def _digest() -> str:
    digest = hashlib.sha256((REPOSITORY / "pyproject.toml").read_bytes())
    for path in _sources():
        data = path.read_bytes()
        digest.update(f"{path.relative_to(REPOSITORY)} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    for name in SOURCES:
        place = REPOSITORY / name
        found = [place] if place.is_file() else sorted(place.rglob("*"))
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


def _made_at(path: Path) -> float:
    return path.stat().st_mtime
