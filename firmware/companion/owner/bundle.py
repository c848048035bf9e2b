"""The owner's app as a bundle of files: its digest, and its release in the public register.

The digest is SHA-256 of the listing that `sha256sum` makes of all files, sorted by name:

    <SHA-256 in hexadecimal>  <path with />⏎

so that anybody can make it with other tools. The same bytes for all have the same digest.
"""

import hashlib
import importlib.util
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2

from firmware.companion.owner.errors import BundleRefused
from firmware.errors import StoreError
from firmware.protocol.encoding import sha256_hex
from firmware.protocol.register.entries import ProgramReleased
from firmware.protocol.register.facts import is_old_enough
from firmware.system.clock import Clock, SystemClock
from firmware.transparency.errors import FollowError
from firmware.transparency.follower import RegisterFollower
from firmware.transparency.log_source import LogSource
from firmware.transparency.policy_file import load_logs

MAX_FILES = 2000
INDEX = "index.html"
CLOCK_SLACK_MS = 5 * 60 * 1000
HOUR_MS = 60 * 60 * 1000


def policy_named(path: Path) -> dict[str, str]:
    """Return how a doorbell names this policy when it is paired, or raise BundleRefused."""
    try:
        origin = load_logs(path).register_origin
        return {"digest": sha256_hex(path.read_bytes()), "register_origin": origin}
    except (StoreError, OSError) as error:
        raise BundleRefused(f"the policy can't be read: {error}") from error


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The register's released programs: those that count, and those witnessed too lately (R21)."""

    counting: tuple[ProgramReleased, ...]
    young: tuple[ProgramReleased, ...]
    age_ms: int
    """How long witnesses must have seen one before it counts."""


def version_in(released: Released, digest: str, *, is_old_taken: bool = False) -> str:
    """Return the version that the register gives this digest, or raise BundleRefused.

    An app that isn't the newest which counts may have faults that everybody knows by now: it is
    refused, too, unless `is_old_taken`.
    """
    newest = newest_in(released)
    if (found := _app_of(released.counting, digest)) is not None:
        if not is_old_taken and newest is not None and newest.sha256 != digest:
            raise BundleRefused(
                f"the register knows a newer app (version {newest.version}) than this one (version "
                f"{found.version}). Update Doorward, or serve this one all the same with --old. "
                "It wasn't started"
            )
        return found.version
    if (young := _app_of(released.young, digest)) is not None:
        raise BundleRefused(
            f"the register hasn't shown this app (version {young.version}) for long enough: it "
            f"counts once witnesses have seen it for {released.age_ms / HOUR_MS:g} hours, so that "
            "others can object first. It wasn't started"
        )
    says = f"; its newest is {newest.version}" if newest else ", nor any other"
    raise BundleRefused(f"the register doesn't know this app ({digest}){says}. It wasn't started")


def newest_in(released: Released) -> ProgramReleased | None:
    """Return the owner's app that was released last, of those that count."""
    apps = (one for one in reversed(released.counting) if one.program == "owner-app")
    return next(apps, None)


async def released_programs(
    policy_path: Path, log_url: str, *, clock: Clock | None = None
) -> Released:
    """Read the whole register, checked by the policy's witnesses, or raise BundleRefused.

    An old copy is refused: it would know an old app, and not that there is a newer one. How old an
    entry is, is measured from when witnesses saw it to when they signed last: this machine's clock
    has no part in it.
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
                    signer=None,
                    chance=random.Random(),  # noqa: S311 (it spreads retries)
                )
                await follower.read()
                facts = follower.facts()
    except (StoreError, FollowError) as error:
        raise BundleRefused(f"the register can't be read: {error}") from error
    if abs(clock.wall_ms() - facts.fresh_ms) > facts.delays.freshness_ms + CLOCK_SLACK_MS:
        raise BundleRefused("what is served is an old copy of the register, or a clock is wrong")
    age_ms = facts.delays.key_age_ms
    counting: list[ProgramReleased] = []
    young: list[ProgramReleased] = []
    for fact in facts.programs:
        counts = is_old_enough(fact.seen_ms, age_ms, facts.fresh_ms)
        (counting if counts else young).append(fact.program)
    return Released(counting=tuple(counting), young=tuple(young), age_ms=age_ms)


def _app_of(programs: Sequence[ProgramReleased], digest: str) -> ProgramReleased | None:
    """Return the newest release of the owner's app that has this digest."""
    apps = (one for one in reversed(programs) if one.program == "owner-app")
    return next((one for one in apps if one.sha256 == digest), None)
