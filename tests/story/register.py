"""Who may ask in the story's town: its two administrators, its agency, and what moderators do.

Each is a command that the person would run at their own machine; the town's register is an
example, so that what takes days elsewhere takes seconds here.
"""

from datetime import UTC, datetime
from pathlib import Path

from firmware.protocol.register.entries import Limits
from tests.story.children import run_to_end
from tests.story.servers import program
from tests.story.settings import Settings

LOG_NAME = "example.lakeland"
REGISTER_ORIGIN = f"{LOG_NAME}/register"
ADMINS = {"ann": "Ann Berg", "bob": "Bob Ek"}
LIMITS = Limits(area_quiet_ms=0, max_open_per_officer=100)
"""The story is played again and again, at one door; elsewhere an area is left alone for a day."""
DELAYS = ("--key-age", "2s", "--agreement-age", "2s", "--slot", "2s", "--batch", "1s")
AGREEMENT_TEXT = """\
# Agreement between Lakeland Police and the relay of the example town

Lakeland Police may ask the owners of doorbells in the listed cells for recordings, by requests that
two officers sign, that are public, and that anybody may ignore. What it gets it uses for the case
that it named, keeps for as long as it promised, and deletes when asked, or says why not.

This is example data.
"""


async def make_admins(settings: Settings) -> None:
    """Make the keys of two administrators."""
    for admin, name in ADMINS.items():
        await _relay(
            "admin", "keygen", "--id", admin, "--name", name, "--out", str(_admins(settings))
        )


async def make_charter(settings: Settings) -> None:
    """Begin the register: who administers it, and how long things take in it."""
    charter, limits = settings.data_dir / "charter.json", settings.data_dir / "limits.json"
    limits.write_bytes(LIMITS.encode())
    public = [
        word for admin in ADMINS for word in ("--admin", str(_admins(settings) / f"{admin}.json"))
    ]
    await _relay(
        "admin", "charter",
        "--origin", REGISTER_ORIGIN,
        *public,
        *DELAYS,
        "--limits", str(limits),
        "--out", str(charter),
    )  # fmt: skip
    await sign_and_submit(settings, charter)


async def make_agency(settings: Settings, agency: str, name: str, cells: tuple[str, ...]) -> None:
    """Make the agency's keys, and have both administrators let it take part."""
    folder = settings.agency_key.parent
    await run_to_end(
        [
            program("doorward-agency"), "keygen",
            "--id", agency, "--also-key", "recovery", "--out", str(folder),
        ]
    )  # fmt: skip
    text, signed = folder / "agreement.md", folder / "agreement.json"
    text.write_text(AGREEMENT_TEXT)
    await run_to_end(
        [
            program("doorward-agency"), "agreement",
            "--keys", str(folder),
            "--name", name,
            "--origin", REGISTER_ORIGIN,
            "--text", str(text),
            "--begins", datetime.now(UTC).isoformat(timespec="seconds"),
            "--cells", *cells,
            "--out", str(signed),
        ]
    )  # fmt: skip
    enrolment, change = folder / "enrolment.json", settings.data_dir / "agreement-change.json"
    await run_to_end(
        [
            program("doorward-agency"), "enrol",
            "--agreement", str(signed), "--text", str(text), "--out", str(enrolment),
        ]
    )  # fmt: skip
    await _relay(
        "admin", "propose", "agreement", str(enrolment),
        "--config", str(settings.relay_toml),
        "--out", str(change),
    )  # fmt: skip
    await sign_and_submit(settings, change)


async def sign_and_submit(settings: Settings, change: Path) -> None:
    """Let both administrators sign a change, and add it to the register."""
    for admin in ADMINS:
        key = _admins(settings) / f"{admin}.key.json"
        await _relay("admin", "sign", str(change), "--key", str(key))
    await _relay("admin", "submit", str(change), "--config", str(settings.relay_toml))


async def pass_request(settings: Settings, request_id: str) -> None:
    """Let a moderator pass a request that two officers signed."""
    await _relay("moderate", "pass", request_id, "--config", str(settings.relay_toml))


def _admins(settings: Settings) -> Path:
    return settings.data_dir / "admins"


async def _relay(*arguments: str) -> str:
    return await run_to_end([program("doorward-relay"), *arguments])
