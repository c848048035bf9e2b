"""mosquitto's clients at the town's broker: with no certificate, a wrong one, and a doorbell's."""

import subprocess
from pathlib import Path

import pytest

from tests.strangers.tools import needs, run
from tests.strangers.town import LivingTown

TRIES = 8

pytestmark = needs("mosquitto_sub", of="mosquitto-clients")


@pytest.fixture
def line(town: LivingTown, tmp_path: Path) -> list[str]:
    """The words of a connection with the doorbell's own certificate."""
    card = town.settings.doorbell_dir
    return [
        *(*address(town), "--cert", str(card / "certificate.pem")),
        *("--key", str(card / "identity.key"), "-V", "mqttv311"),
    ]


def address(town: LivingTown) -> list[str]:
    return ["-h", "localhost", "-p", str(town.settings.ports.mqtt), "--cafile", str(town.fleet_ca)]


def subscribe(topic: str, *line: str, name: str) -> subprocess.CompletedProcess[str]:
    return run("mosquitto_sub", *line, "-i", name, "-t", topic, "-W", "2", "-d", "-C", "1")


def subscribe_as_doorbell(town: LivingTown, topic: str, line: list[str]) -> str:
    """Subscribe with the doorbell's own id, and return what is told; it comes back for its place
    in the broker, so that a try may be cut off."""
    for _ in range(TRIES):
        done = subscribe(topic, *line, name=town.device)
        if "Subscribed" in done.stdout:
            return done.stdout
    raise AssertionError(f"{TRIES} times cut off: {done.stdout} {done.stderr}")


def test_without_a_certificate_there_is_no_connection(town: LivingTown):
    done = subscribe("#", *address(town), name=town.device)
    assert done.returncode != 0
    assert "CONNACK (0)" not in done.stdout


def test_a_certificate_of_somebody_elses_is_none(town: LivingTown, tmp_path: Path):
    made = run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-days", "9", "-subj", f"/CN={town.device}"),
        *("-keyout", tmp_path / "key.pem", "-out", tmp_path / "own.pem"),
    )
    assert made.returncode == 0, made.stderr
    own = ("--cert", str(tmp_path / "own.pem"), "--key", str(tmp_path / "key.pem"))
    done = subscribe("#", *address(town), *own, name=town.device)
    assert done.returncode != 0
    assert "CONNACK (0)" not in done.stdout


def test_the_evidence_certificate_is_none_either(town: LivingTown):
    card = town.settings.doorbell_dir
    own = ("--cert", str(town.evidence / "device.pem"), "--key", str(card / "identity.key"))
    done = subscribe("#", *address(town), *own, name=town.device)
    assert done.returncode != 0
    assert "CONNACK (0)" not in done.stdout


def test_plain_mqtt_is_not_spoken(town: LivingTown):
    plain = ("-h", "localhost", "-p", str(town.settings.ports.mqtt))
    assert subscribe("#", *plain, name=town.device).returncode != 0


def test_a_doorbell_must_use_its_own_id(line: list[str]):
    done = subscribe("#", *line, name="a" * 20)
    assert done.returncode != 0
    assert "CONNACK (5)" in done.stdout


@pytest.mark.parametrize(
    "topic",
    ["#", "dw/#", "dw/+/event", "dw/+/command", "$SYS/#", "dw/aaaaaaaaaaaaaaaaaaaa/command"],
)
def test_a_doorbell_subscribes_to_nothing_but_its_own_commands(
    town: LivingTown, line: list[str], topic: str
):
    assert "Subscribed (mid: 1): 128" in subscribe_as_doorbell(town, topic, line)


def test_a_doorbell_may_subscribe_to_its_own_commands(town: LivingTown, line: list[str]):
    said = subscribe_as_doorbell(town, f"dw/{town.device}/command", line)
    assert "Subscribed (mid: 1): 0" in said
