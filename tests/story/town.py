"""The town that the story is played in: made at the first start, found again at every other.

`doorward-relay init`, the agency's keys, and a claim on the doorbell's card. A marker file says
that a folder is ours, and whether the making was finished; an unfinished one is made anew.
"""

import json
import shutil
from pathlib import Path

from tests.story.children import run_to_end
from tests.story.register import LOG_NAME, make_admins, make_agency, make_charter
from tests.story.servers import program
from tests.story.settings import BadSetting, Settings, remember_ports

AGENCY_ID = "lakeland"
AGENCY_NAME = "Lakeland Police"
DOORBELL_CELL = "89441a5ac73ffff"
"""Lake Morton, Lakeland, in H3 at resolution 9."""
AGENCY_CELLS = (
    DOORBELL_CELL,
    "89441a5ac47ffff",
    "89441a5ac7bffff",
    "89441a5ac63ffff",
    "89441a5ac77ffff",
)
MARKER = "town.json"
OWN_FOLDERS = ("relay", "doorbell", "admins", "agency", "people", "store", "witnesses")


def check_folder_is_ours(data_dir: Path) -> None:
    """Refuse a folder that holds something else than a demo's data."""
    if not data_dir.exists() or (data_dir / MARKER).exists():
        return
    if not data_dir.is_dir() or any(path.name != ".lock" for path in data_dir.iterdir()):
        raise BadSetting(
            f"--data {data_dir}: this isn't empty and isn't a demo's data; give another folder"
        )


async def make_town(settings: Settings) -> bool:
    """Make the town unless it is there; tell whether this was the first start."""
    marker = settings.data_dir / MARKER
    if marker.exists() and json.loads(marker.read_text())["is_made"]:
        return False
    marker.write_text('{"is_made": false}\n')
    remember_ports(settings)
    for name in OWN_FOLDERS:
        shutil.rmtree(settings.data_dir / name, ignore_errors=True)
    settings.people_dir.mkdir(mode=0o700)
    await _make_relay(settings)
    await _make_logs(settings)
    await make_admins(settings)
    await make_charter(settings)
    await make_agency(settings, AGENCY_ID, AGENCY_NAME, AGENCY_CELLS)
    await _make_card(settings)
    marker.write_text('{"is_made": true}\n')
    return True


async def invite(settings: Settings, role: str, *options: str) -> dict[str, str]:
    """Have the relay's operator make a one-time invitation: {"invitation", "url"}."""
    told: dict[str, str] = json.loads(
        await run_to_end(
            [
                program("doorward-relay"), "invite", role,
                "--config", str(settings.relay_toml), *options, "--json",
            ]
        )
    )  # fmt: skip
    return told


async def invite_officer(settings: Settings) -> dict[str, str]:
    """Invite an officer of the story's agency."""
    return await invite(settings, "officer", "--agency", AGENCY_ID)


def write_doorbell_settings(settings: Settings) -> None:
    """Write the doorbell's settings; at each start, because --video may change."""
    camera = f"file = {json.dumps(str(settings.video))}" if settings.video else ""
    (settings.doorbell_dir / "doorbell.toml").write_text(
        f"""\
# Written by the demo at each start. firmware/doorbell.example.toml explains every key.
[camera]
kind = "replay"
{camera}

[panel]
pins = "mock"

[door]
listen_port = {settings.ports.door}
url = "{settings.door_url}"

[clock]
is_host_time_trusted = true

[log]
policy = {json.dumps(str(settings.policy))}

[place]
cell = "{DOORBELL_CELL}"
is_opted_in = true
"""
    )


async def _make_relay(settings: Settings) -> None:
    ports = settings.ports
    await run_to_end(
        [
            program("doorward-relay"), "init",
            "--data", str(settings.relay_dir),
            "--listen", f"127.0.0.1:{ports.relay}",
            "--public-url", settings.relay_url,
            "--owner-origin", settings.app_url,
            "--mqtt-port", str(ports.mqtt),
            "--nats-port", str(ports.nats),
            "--s3-port", str(ports.s3),
            "--demo",
        ]
    )  # fmt: skip


async def _make_logs(settings: Settings) -> None:
    """Make the keys of both logs and of three witnesses, and the policy that names them."""
    config = ("--config", str(settings.relay_toml))
    await run_to_end(
        [program("doorward-relay"), "log", "init", *config, "--name", LOG_NAME, "--example"]
    )
    witnesses = []
    for number, port in enumerate(settings.ports.witnesses, 1):
        folder = settings.witness_dir(number)
        folder.mkdir(parents=True)
        vkey = await run_to_end(
            [
                program("doorward-witness"), "keygen",
                "--name", f"witness{number}.example",
                "--key", str(folder / "witness.key"),
                "--data", str(folder / "signed"),
            ]
        )  # fmt: skip
        name = f"witness{number}={vkey.strip()}@http://127.0.0.1:{port}/"
        witnesses += ["--witness", name]
    await run_to_end(
        [
            program("doorward-relay"), "log", "policy", *config, *witnesses,
            "--quorum", "2", "--out", str(settings.policy),
        ]
    )  # fmt: skip
    shutil.copyfile(settings.policy, settings.relay_dir / settings.policy.name)


async def _make_card(settings: Settings) -> None:
    settings.doorbell_dir.mkdir(mode=0o700)
    await run_to_end(
        [
            program("doorward-relay"), "invite", "doorbell",
            "--config", str(settings.relay_toml),
            "--out", str(settings.doorbell_dir / "claim.json"),
        ]
    )  # fmt: skip
