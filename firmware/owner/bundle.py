"""The owner's app as files: what its digest is, and whether the public register knows it.

The digest is SHA-256 of the listing that `sha256sum` makes of all files, sorted by name:

    <SHA-256 in hexadecimal>  <path with />⏎

so that anybody can make it with other tools. The same bytes for all have the same digest.
"""

import hashlib
import importlib.util
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx2

from firmware.clock import Clock, SystemClock
from firmware.errors import StoreError
from firmware.following.errors import FollowError
from firmware.following.follower import RegisterFollower
from firmware.following.policy_file import load_logs
from firmware.following.source import LogSource
from firmware.owner.errors import BundleRefused
from firmware.protocol.register.entries import ProgramReleased

MAX_FILES = 2000
INDEX = "index.html"
CLOCK_SLACK_MS = 5 * 60 * 1000


def find_bundle() -> Path:
    """Return the app that came with this installation, or raise BundleRefused."""
    spec = importlib.util.find_spec("relay")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / "owner_app" / INDEX).exists():
            return Path(folder) / "owner_app"
    raise BundleRefused("the owner's app isn't part of this installation; give --bundle DIR")


def listing_of(bundle: Path) -> str:
    """Return the listing of all files; BundleRefused if it is no bundle."""
    if not (bundle / INDEX).is_file():
        raise BundleRefused(f"{bundle} isn't the owner's app: it has no {INDEX}")
    paths = sorted(
        (path for path in bundle.rglob("*") if not path.is_dir() or path.is_symlink()),
        key=lambda path: path.relative_to(bundle).as_posix(),
    )
    if len(paths) > MAX_FILES:
        raise BundleRefused(f"{bundle} has more than {MAX_FILES} files; is it the owner's app?")
    lines = []
    for path in paths:
        if path.is_symlink():
            raise BundleRefused(f"{path} is a link: what it serves could change unseen")
        name = path.relative_to(bundle).as_posix()
        if not name.isprintable():
            raise BundleRefused(f"{path!r} has a name that no listing can hold")
        lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n")
    return "".join(lines)


def digest_of(listing: str) -> str:
    """Return the digest that stands in the register."""
    return hashlib.sha256(listing.encode()).hexdigest()


def version_in(programs: Sequence[ProgramReleased], digest: str) -> str:
    """Return the version that the register gives this digest, or raise BundleRefused."""
    for program in reversed(programs):
        if (program.program, program.sha256) == ("owner-app", digest):
            return program.version
    known = [one for one in programs if one.program == "owner-app"]
    says = f"; its newest is {known[-1].version}" if known else ", nor any other"
    raise BundleRefused(f"the register doesn't know this app ({digest}){says}. It wasn't started")


async def released_programs(
    policy_path: Path, log_url: str, *, clock: Clock | None = None
) -> tuple[ProgramReleased, ...]:
    """Read the whole register, checked by the policy's witnesses, or raise BundleRefused.

    An old copy is refused: it would know an old app, and not that there is a newer one.
    """
    clock = clock or SystemClock()
    try:
        logs = load_logs(policy_path)
        with tempfile.TemporaryDirectory(prefix="doorward-") as folder:
            async with httpx2.AsyncClient(timeout=30.0, trust_env=False) as http:
                follower = RegisterFollower(
                    folder=Path(folder),
                    logs=logs,
                    source=LogSource(http, log_url, "register"),
                    clock=clock,
                    note_witnessed=lambda _: None,
                    chance=random.Random(),  # noqa: S311 (it spreads retries)
                )
                await follower.read()
                facts = follower.facts()
    except (StoreError, FollowError) as error:
        raise BundleRefused(f"the register can't be read: {error}") from error
    if abs(clock.wall_ms() - facts.fresh_ms) > facts.delays.freshness_ms + CLOCK_SLACK_MS:
        raise BundleRefused("what is served is an old copy of the register, or a clock is wrong")
    return follower.programs
