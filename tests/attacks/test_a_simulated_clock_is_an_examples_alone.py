"""The clock of an invented town may be wound; by that, nothing counts earlier anywhere else.

A relay that winds its own clock changes nothing at a doorbell, and a doorbell, a witness or a relay
of a real log doesn't start with a clock that can be wound. Each test names what it was seen to
succeed without.
"""

from pathlib import Path

import pytest

from firmware.config.loader import parse_config
from firmware.errors import ConfigError
from firmware.protocol.register.facts import agreement_in_force
from firmware.protocol.tlog.policy import policy_text
from firmware.protocol.tlog.signed_note import NoteKey, NoteSigner
from firmware.protocol.town_clock import TownClock
from firmware.system.clock import SystemClock
from firmware.transparency.policy_file import load_logs
from firmware.transparency.simulated_clock import SimulatedKernel, kernel_of
from relay.tools.witness.cli import main as witness
from tests.fakes.clock import ManualKernel
from tests.fakes.followers import Followers
from tests.fakes.log_town import DAY_MS, NOW_MS, make_town

REAL, EXAMPLE = "doorward.example.org", "example.lakeland"


def keys_of(town: str) -> list[NoteKey]:
    made = [NoteSigner.generate(f"{town}/{log}", "ed25519") for log in ("register", "custody")]
    return [signer.key for signer in made]


def doorbell_toml(folder: Path, *towns: str) -> dict[str, object]:
    """Put a policy for these towns' logs on a card, and return settings with a wound clock."""
    if towns:
        key = NoteSigner.generate("witness.example/w", "cosignature").key
        logs = [key for town in towns for key in keys_of(town)]
        charters = {f"{town}/register": "0" * 64 for town in towns}
        text = policy_text(logs=logs, witnesses={"w": key}, threshold=1, charters=charters)
        (folder / "policy.txt").write_bytes(text)
    (folder / "clock.json").write_bytes(TownClock(offset_ms=7 * DAY_MS).encode())
    return {"clock": {"example_file": "clock.json", "is_host_time_trusted": True}}


@pytest.mark.parametrize("town", [REAL, "real.town", ""])
def test_a_doorbell_of_a_real_log_or_of_none_refuses_it(tmp_path: Path, town: str) -> None:
    """Seen to succeed with `check_is_example` out of `kernel_of`: it was a week ahead."""
    config = parse_config(doorbell_toml(tmp_path, *[town] if town else []), tmp_path)
    with pytest.raises(ConfigError, match=r"clock\.example_file"):
        kernel_of(config)


def test_a_file_beside_the_settings_winds_nothing_by_itself(tmp_path: Path) -> None:
    """A card that somebody wrote to has the file; the settings don't name it."""
    doorbell_toml(tmp_path, REAL)
    (tmp_path / "town-clock.json").write_bytes(TownClock(offset_ms=7 * DAY_MS).encode())
    clock = SystemClock(kernel=kernel_of(parse_config({}, tmp_path)), is_host_time_trusted=True)
    machine = SystemClock(is_host_time_trusted=True)
    assert abs(clock.wall_ms() - machine.wall_ms()) < DAY_MS


def test_the_doorbell_of_an_invented_town_is_wound_in_wall_time_alone(tmp_path: Path) -> None:
    kernel = kernel_of(parse_config(doorbell_toml(tmp_path, EXAMPLE), tmp_path))
    assert isinstance(kernel, SimulatedKernel)
    assert load_logs(tmp_path / "policy.txt").register_origin == f"{EXAMPLE}/register"
    machine = ManualKernel()
    machine.synchronise()
    kernel._kernel = machine
    assert kernel.wall_ms() == machine.wall_ms() + 7 * DAY_MS
    assert kernel.synchronised_ms() == machine.wall_ms() + 7 * DAY_MS
    assert kernel.monotonic_ns() == machine.monotonic_ns()
    clock = SystemClock(kernel=kernel)
    assert clock.is_trusted()


def test_a_leap_of_the_towns_clock_deletes_nothing_for_its_age(tmp_path: Path) -> None:
    kernel = kernel_of(parse_config(doorbell_toml(tmp_path, EXAMPLE), tmp_path))
    clock = SystemClock(kernel=kernel, is_host_time_trusted=True)
    assert clock.is_settled()
    (tmp_path / "clock.json").write_bytes(TownClock(offset_ms=40 * DAY_MS).encode())
    assert clock.is_trusted()
    assert not clock.is_settled()


@pytest.mark.parametrize("towns", [[REAL], [EXAMPLE, REAL]])
def test_a_witness_of_a_real_log_refuses_it(
    tmp_path: Path, towns: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Seen to succeed with `check_is_example` out of `SimulatedClock`: it began to serve."""
    key, data = tmp_path / "w.key", tmp_path / "w"
    (tmp_path / "clock.json").write_bytes(TownClock(offset_ms=7 * DAY_MS).encode())
    assert witness(["keygen", "--name", "w.example", "--key", str(key), "--data", str(data)]) == 0
    logs = [one.vkey for town in towns for one in keys_of(town)]
    code = witness(
        [
            "serve", "--key", str(key), "--data", str(data), "--listen", "nowhere",
            "--example-clock", str(tmp_path / "clock.json"), "--log", *logs,
        ]
    )  # fmt: skip
    assert code == 1
    assert "only the clock of an example town may be wound" in capsys.readouterr().err


async def test_a_relay_that_winds_its_own_clock_makes_no_agreement_count(tmp_path: Path) -> None:
    """It signs anew, and one witness of three goes by its clock; the doorbell goes by neither.

    Seen to succeed with the age of agreements not asked for (`is_old_enough`: True).
    """
    town, followers = make_town(age_days=1), Followers(tmp_path)
    honest = town.register_log.note(at_ms=NOW_MS, by=["north", "east"])
    wound = town.register_log.note(at_ms=NOW_MS + 365 * DAY_MS, by=["south"])
    town.register_log.checkpoint = honest + wound.splitlines(keepends=True)[-1]
    town.register_log.stamps.append(town.register_log.checkpoint)
    follower = followers.of(town)
    await follower.read()
    agency = town.agreement.agency
    facts, now_ms = follower.facts(), followers.clock.wall_ms()
    assert facts.agreements[agency][0].seen_ms is not None
    assert agreement_in_force(facts, agency, now_ms) is None
    assert agreement_in_force(facts, agency, now_ms + 6 * DAY_MS) is not None  # it is a good one
