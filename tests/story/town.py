"""The town that the story is played in: made at the first start, found again at every other.

`doorward-relay init`, the agency's keys, and a claim on the doorbell's card. A marker file says
that a folder is ours, and whether the making was finished; an unfinished one is made anew.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from firmware.protocol.claims import read_invitation
from firmware.protocol.town_clock import TownClock
from tests.story.commands import Command, run_all
from tests.story.register import LOG_NAME, admin_commands, agency_commands, charter_commands
from tests.story.settings import BadSetting, Settings, remember_ports
from tests.story.town_map import ADDRESSES_NAME, DISTRICTS_NAME, map_settings, write_town_map

AGENCY_ID = "lakeland"
AGENCY_NAME = "Lakeland Police"
AN_OFFICER = ("officer", "--agency", AGENCY_ID)
DOORBELL_CELL = "89441a5ac73ffff"
"""Lake Morton, Lakeland, in H3 at resolution 9."""
AGENCY_CELLS = (
    DOORBELL_CELL,
    "89441a5ac47ffff",
    "89441a5ac7bffff",
    "89441a5ac63ffff",
    "89441a5ac77ffff",
)
NEIGHBOUR_ID = "polk"
NEIGHBOUR_NAME = "Polk County Sheriff"
NEIGHBOUR_CELLS = ("89441a5ac67ffff", "89441a5ac6fffff")
DISTRICTS = (
    ("lake-morton", "Lake Morton", 2140, ("88441a5ac7fffff",)),
    ("dixieland", "Dixieland", 1860, ("88441a5ac5fffff", "88441a5ac1fffff")),
    ("lake-hollingsworth", "Lake Hollingsworth", 1310, ("88441a5ac3fffff",)),
)
"""Of the neighbours' feed: id, name, addresses, H3 cells of resolution 8. All are invented."""
AHEAD_MS = 2 * 3600 * 1000
"""A request may ask for the last hour: in the town's time the doorbell was enrolled before that."""
SOUND = """
[sound]
card = "file"
has_chime = true
reply_after_s = 4.0
"""
MARKER = "town.json"
INVITATION = "doorward.json"
OWN_FOLDERS = (
    "relay", "doorbell", "admins", "agency", NEIGHBOUR_ID, "map", "people", "store", "witnesses",
)  # fmt: skip


def check_folder_is_ours(data_dir: Path) -> None:
    """Refuse a folder that holds something else than a demo's data."""
    if not data_dir.exists() or (data_dir / MARKER).exists():
        return
    if not data_dir.is_dir() or any(path.name != ".lock" for path in data_dir.iterdir()):
        raise BadSetting(
            f"--data {data_dir}: this isn't empty and isn't a demo's data; give another folder"
        )


def read_marker(data_dir: Path) -> dict[str, bool]:
    """Return what a folder's marker says of the town in it; nothing if there is none."""
    marker = data_dir / MARKER
    told: dict[str, bool] = json.loads(marker.read_text()) if marker.exists() else {}
    return told


def is_made(data_dir: Path) -> bool:
    """Tell whether a town was made in this folder."""
    return read_marker(data_dir).get("is_made", False)


def as_made(settings: Settings) -> Settings:
    """Return the settings as the town was made, or raise BadSetting."""
    made = read_marker(settings.data_dir)
    if not made.get("is_made"):
        return settings
    if made.get("has_real_delays") is None:
        raise BadSetting(
            f"--data {settings.data_dir}: an earlier Doorward made this town, whose clock can't be "
            "wound; delete the folder, or give another"
        )
    if settings.is_empty and not made["is_empty"]:
        raise BadSetting(
            f"--empty: the town in {settings.data_dir} isn't empty; give another --data"
        )
    return replace(settings, is_empty=made["is_empty"], has_real_delays=made["has_real_delays"])


async def make_town(settings: Settings) -> bool:
    """Make the town unless it is there; tell whether this was the first start."""
    marker = settings.data_dir / MARKER
    if is_made(settings.data_dir):
        return False
    marker.write_text('{"is_made": false}\n')
    remember_ports(settings)
    settings.town_clock.unlink(missing_ok=True)
    for name in OWN_FOLDERS:
        shutil.rmtree(settings.data_dir / name, ignore_errors=True)
    if not settings.has_real_delays:
        settings.town_clock.write_bytes(TownClock(offset_ms=AHEAD_MS).encode())
    settings.people_dir.mkdir(mode=0o700)
    await _make_relay_and_logs(settings)
    write_town_map(settings.map_dir)
    _draw_districts(settings.map_dir)
    with settings.relay_toml.open("a") as file:
        file.write(map_settings(settings.map_dir))
    commands = [*admin_commands(settings), *charter_commands(settings)]
    if not settings.is_empty:
        folder = settings.agency_key.parent
        commands += agency_commands(settings, folder, AGENCY_ID, AGENCY_NAME, AGENCY_CELLS)
    if settings.has_real_delays and not settings.is_empty:
        folder = settings.data_dir / NEIGHBOUR_ID
        commands += agency_commands(settings, folder, NEIGHBOUR_ID, NEIGHBOUR_NAME, NEIGHBOUR_CELLS)
    settings.doorbell_dir.mkdir(mode=0o700)
    await run_all(*commands, _card_command(settings))
    _put_claim_on_card(settings)
    # with the charter, which the relay's own policy names since it was submitted
    shutil.copyfile(settings.relay_dir / settings.policy.name, settings.policy)
    made = {
        "is_made": True,
        "is_empty": settings.is_empty,
        "has_real_delays": settings.has_real_delays,
    }
    marker.write_text(json.dumps(made) + "\n")
    return True


async def invite(settings: Settings, role: str, *options: str) -> dict[str, str]:
    """Have the relay's operator make a one-time invitation: {"invitation", "url"}."""
    (told,) = await invite_all(settings, (role, *options))
    return told


async def invite_all(settings: Settings, *wanted: tuple[str, ...]) -> list[dict[str, str]]:
    """Make several: each is a role and its options."""
    config = ("--config", str(settings.relay_toml), "--json")
    printed = await run_all(*(("doorward-relay", "invite", *one, *config) for one in wanted))
    return [json.loads(text) for text in printed]


async def invite_officer(settings: Settings) -> dict[str, str]:
    """Invite an officer of the story's agency."""
    return await invite(settings, *AN_OFFICER)


def write_doorbell_settings(settings: Settings) -> None:
    """Write the doorbell's settings; at each start, because --video may change."""
    film = "" if settings.video is None else str(settings.video)
    (settings.doorbell_dir / "doorbell.toml").write_text(
        f"""\
# Written by the demo at each start. firmware/doorbell.example.toml explains every key.
[camera]
kind = "replay"
file = {json.dumps(film)}
visit_each_s = {settings.visit_each_s}

[clips]
keep_bytes = 120_000_000

[panel]
pins = "mock"

[door]
listen_port = {settings.ports.door}
url = "{settings.door_url}"

[clock]
is_host_time_trusted = true
example_file = {json.dumps(str(settings.town_clock))}

[log]
policy = {json.dumps(str(settings.policy))}

[place]
cell = "{DOORBELL_CELL}"
is_opted_in = true
{SOUND if settings.has_sound else ""}"""
    )


async def _make_relay_and_logs(settings: Settings) -> None:
    """Make the relay, the keys of both logs and of three witnesses, and the policy with them."""
    ports, config = settings.ports, ("--config", str(settings.relay_toml))
    witnesses = [
        (
            "doorward-witness", "keygen",
            "--name", f"witness{number}.example",
            "--key", str(settings.witness_dir(number) / "witness.key"),
            "--data", str(settings.witness_dir(number) / "signed"),
        )
        for number, _ in enumerate(ports.witnesses, 1)
    ]  # fmt: skip
    for number, _ in enumerate(ports.witnesses, 1):
        settings.witness_dir(number).mkdir(parents=True)
    vkeys = await run_all(*witnesses, _init_command(settings), (
        "doorward-relay", "log", "init", *config, "--name", LOG_NAME, "--example",
        "--town-clock", str(settings.town_clock),
    ))  # fmt: skip
    named = [
        word
        for number, port in enumerate(ports.witnesses, 1)
        for word in (
            "--witness", f"witness{number}={vkeys[number - 1].strip()}@http://127.0.0.1:{port}/",
        )
    ]  # fmt: skip
    own = settings.relay_dir / settings.policy.name
    await run_all(
        *(
            ("doorward-relay", "log", "policy", *config, *named, "--quorum", "2", "--out", str(out))
            for out in (settings.policy, own)
        )
    )


def _draw_districts(folder: Path) -> None:
    """Write the town's districts, and how many addresses their cells have, as an operator does."""
    fields = ("id", "name", "addresses", "cells")
    told = {"districts": [dict(zip(fields, one, strict=True)) for one in DISTRICTS]}
    (folder / DISTRICTS_NAME).write_text(json.dumps(told, indent=2) + "\n")
    counts = [f"{cell},{one[2] // len(one[3])}\n" for one in DISTRICTS for cell in one[3]]
    (folder / ADDRESSES_NAME).write_text("cell,addresses\n" + "".join(counts))


def _init_command(settings: Settings) -> Command:
    ports = settings.ports
    return (
        "doorward-relay", "init",
        "--data", str(settings.relay_dir),
        "--listen", f"127.0.0.1:{ports.relay}",
        "--public-url", settings.relay_url,
        "--owner-origin", settings.app_url,
        "--mqtt-port", str(ports.mqtt),
        "--nats-port", str(ports.nats),
        "--s3-port", str(ports.s3),
        "--demo",
    )  # fmt: skip


def _card_command(settings: Settings) -> Command:
    return (
        "doorward-relay", "invite", "doorbell",
        "--config", str(settings.relay_toml),
        "--out", str(settings.doorbell_dir / INVITATION),
    )  # fmt: skip


def _put_claim_on_card(settings: Settings) -> None:
    """Keep the invitation's claim as the doorbell reads it, as a first boot does."""
    invitation = settings.doorbell_dir / INVITATION
    claim = settings.doorbell_dir / "claim.json"
    claim.touch(mode=0o600)
    claim.write_bytes(read_invitation(invitation.read_bytes()).claim.encode())
    invitation.unlink()
