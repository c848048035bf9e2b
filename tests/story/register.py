"""Who may ask in the story's town: its two administrators, its agency, and what moderators do.

Each is a command that the person would run at their own machine; the town's register is an
example, so that what takes days elsewhere takes seconds here.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from firmware.protocol.register.entries import Limits
from firmware.protocol.town_clock import read_offset_ms
from tests.story.commands import Command, run_all
from tests.story.settings import Settings

LOG_NAME = "example.lakeland"
REGISTER_ORIGIN = f"{LOG_NAME}/register"
ADMINS = {"ann": "Ann Berg", "bob": "Bob Ek"}
LIMITS = Limits(area_quiet_ms=0, max_open_per_officer=100)
"""The story is played again and again, at one door; elsewhere an area is left alone for a day."""
SHORT_DELAYS = ("--key-age", "2s", "--agreement-age", "2s", "--batch", "1s")
"""Of a town whose clock isn't wound; others have them as everywhere."""
VOTE = "https://council.example/lakeland/2026-117"
"""No such vote was ever taken: the town is invented."""
AGREEMENT_TEXT = """\
# Agreement between {name} and the relay of the example town

{name} may ask the owners of doorbells in the listed cells for recordings, by requests that
two officers sign, that are public, and that anybody may ignore. What it gets it uses for the case
that it named, keeps for as long as it promised, and deletes when asked, or says why not.

This is example data.
"""
NEXT_TEXT = """\
# Agreement between {name} and the relay of the example town

{name} may ask the owners of doorbells in the listed cells for recordings, by requests that
two officers sign, that are public, and that anybody may ignore. What it gets it uses for the case
that it named and for no other, keeps for 90 days at most, and deletes when asked, or says why not.
Once a year it says in public how often it asked, and what came of it.

This is example data.
"""


def admin_commands(settings: Settings) -> list[Command]:
    """Make the keys of two administrators."""
    return [
        _relay("admin", "keygen", "--id", admin, "--name", name, "--out", str(_admins(settings)))
        for admin, name in ADMINS.items()
    ]


def charter_commands(settings: Settings) -> list[Command]:
    """Begin the register: who administers it, and how long things take in it."""
    charter, limits = settings.data_dir / "charter.json", settings.data_dir / "limits.json"
    limits.write_bytes(LIMITS.encode())
    public = [
        word for admin in ADMINS for word in ("--admin", str(_admins(settings) / f"{admin}.json"))
    ]
    return [
        _relay(
            "admin", "charter",
            "--origin", REGISTER_ORIGIN,
            *public,
            "--slot", settings.slot,
            *(() if settings.has_real_delays else SHORT_DELAYS),
            "--limits", str(limits),
            "--out", str(charter),
        ),
        *submit_commands(settings, charter),
    ]  # fmt: skip


def agency_commands(
    settings: Settings, folder: Path, agency: str, name: str, cells: tuple[str, ...]
) -> list[Command]:
    """Make the agency's keys, and have both administrators let it take part."""
    keygen = (
        "doorward-agency", "keygen",
        "--id", agency, "--also-key", "recovery", "--out", str(folder),
    )  # fmt: skip
    return [keygen, *agreement_commands(settings, folder, name, cells)]


def agreement_commands(
    settings: Settings, keys: Path, name: str, cells: tuple[str, ...], *, version: int = 1
) -> list[Command]:
    """Sign an agreement with an agency's keys, and have both administrators submit it."""
    mark = keys.name if version == 1 else f"{keys.name}-{version}"
    text = settings.data_dir / f"{mark}.md"
    text.write_text(
        AGREEMENT_TEXT.format(name=name) if version == 1 else NEXT_TEXT.format(name=name)
    )
    signed = keys / ("agreement.json" if version == 1 else f"agreement-{version}.json")
    enrolment = signed.with_name(f"enrolment-{version}.json")
    change = settings.data_dir / f"{mark}-change.json"
    begins = datetime.now(UTC) + timedelta(milliseconds=read_offset_ms(settings.town_clock))
    return [
        (
            "doorward-agency", "agreement",
            "--keys", str(keys),
            "--name", name,
            "--origin", REGISTER_ORIGIN,
            "--text", str(text),
            "--vote", VOTE, "--gifts", "none", "--promotion", "none",
            "--begins", begins.isoformat(timespec="seconds"),
            "--version", str(version),
            "--cells", *cells,
            "--out", str(signed),
        ),
        (
            "doorward-agency", "enrol",
            "--agreement", str(signed), "--text", str(text), "--out", str(enrolment),
        ),
        _relay(
            "admin", "propose", "agreement", str(enrolment),
            "--config", str(settings.relay_toml),
            "--out", str(change),
        ),
        *submit_commands(settings, change),
    ]  # fmt: skip


def submit_commands(settings: Settings, change: Path) -> list[Command]:
    """Let both administrators sign a change, and add it to the register."""
    keys = [str(_admins(settings) / f"{admin}.key.json") for admin in ADMINS]
    return [
        *(_relay("admin", "sign", str(change), "--key", key) for key in keys),
        _relay("admin", "submit", str(change), "--config", str(settings.relay_toml)),
    ]


def pass_command(settings: Settings, request_id: str) -> Command:
    """Let a moderator pass a request that two officers signed."""
    return _relay("moderate", "pass", request_id, "--config", str(settings.relay_toml))


def refuse_command(settings: Settings, request_id: str, category: str, reason: str) -> Command:
    """Let a moderator refuse one."""
    config = ("--config", str(settings.relay_toml))
    return _relay(
        "moderate", "refuse", request_id, *config, "--category", category, "--reason", reason
    )


async def pass_request(settings: Settings, request_id: str) -> None:
    """Let a moderator pass a request that two officers signed, now."""
    await run_all(pass_command(settings, request_id))


def _admins(settings: Settings) -> Path:
    return settings.data_dir / "admins"


def _relay(*arguments: str) -> Command:
    return ("doorward-relay", *arguments)
