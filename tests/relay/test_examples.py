"""The example files for operators: what they name exists, and they are as closed as they say."""

import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from firmware.protocol.events import PackageReady
from relay.cli.broker_files import nats_conf
from relay.config.loader import load
from relay.config.values import Address
from relay.fleet.broker_keys import BrokerKeys
from relay.web.agency.padding import PADDED_TYPES
from tests.house.documents import REPOSITORY

EXAMPLES = REPOSITORY / "docs" / "examples"
UNITS = sorted(path.name for path in EXAMPLES.glob("*.service"))
CADDYFILE = EXAMPLES / "Caddyfile"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing (apt: systemd)"
)
needs_caddy = pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is missing (apt)")


def test_there_is_a_unit_for_each_program() -> None:
    assert UNITS == [
        "doorward-nats.service",
        "doorward-relay.service",
        "doorward-seaweedfs.service",
        "doorward-witness.service",
    ]


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_exposes_at_most_1_0(unit: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=10", "--no-pager",
         str(EXAMPLES / unit)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_every_line(unit: str, tmp_path: Path) -> None:
    text = re.sub(r"/opt/doorward/bin/[a-z-]+", "/bin/true", (EXAMPLES / unit).read_text())
    (tmp_path / unit).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@needs_caddy
def test_caddy_understands_its_file() -> None:
    done = subprocess.run(
        ["caddy", "validate", "--adapter", "caddyfile", "--config", str(CADDYFILE)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert "Valid configuration" in done.stdout + done.stderr


def test_no_example_undoes_the_padding() -> None:
    """R9: compressed, the agency's pages would have the size of what they say again."""
    assert PADDED_TYPES
    words = re.sub(r"#.*", "", CADDYFILE.read_text()).split()
    assert "encode" not in words


def test_the_relay_itself_opens_uploads_and_erases_in_the_store() -> None:
    """It has no other address of the store than everybody's. Seen to be refused (405) without."""
    store = CADDYFILE.read_text().partition("store.example {\n")[2].partition("\n}\n")[0]
    lines = [line.strip() for line in store.splitlines()]
    at, handled = lines.index("@relay {"), lines.index("handle @relay {")
    assert lines[at + 1 : at + 3] == ["method POST DELETE", "remote_ip 127.0.0.1 ::1"]
    assert lines[handled + 1] == "reverse_proxy 127.0.0.1:8405"


def test_the_broker_sees_what_its_settings_name_and_no_other_file_of_the_relay() -> None:
    folder = "/var/lib/doorward"
    conf = nats_conf(Path(folder), BrokerKeys.create(), 8404, Address(host="0.0.0.0", port=8403))
    named = {f"{folder}/nats.conf", *re.findall(rf'"({folder}/[^"]+)"', conf)}
    unit = (EXAMPLES / "doorward-nats.service").read_text()
    bound = " ".join(re.findall(r"^Bind(?:ReadOnly)?Paths=(.*)$", unit, re.MULTILINE)).split()
    assert sorted(bound) == sorted(named)
    assert f"TemporaryFileSystem={folder}:ro" in unit.splitlines()


def test_the_largest_part_of_a_package_goes_through() -> None:
    told = msgspec.inspect.type_info(PackageReady)
    assert isinstance(told, msgspec.inspect.StructType)
    (part,) = (field.type for field in told.fields if field.name == "part_bytes")
    assert isinstance(part, msgspec.inspect.IntType)
    largest = max(int(size) for size in re.findall(r"max_size (\d+)MB", CADDYFILE.read_text()))
    assert largest * 10**6 >= (part.le or 0) > 0


def test_examples_speak_of_the_ports_that_the_settings_have() -> None:
    config = load(REPOSITORY / "relay" / "relay.example.toml")
    caddy, relay = CADDYFILE.read_text(), (EXAMPLES / "doorward-relay.service").read_text()
    assert f"reverse_proxy {config.listen}" in caddy
    assert f"tcp:{config.listen.port}" in relay
    assert config.metrics.listen is not None
    assert f"tcp:{config.metrics.listen.port}" in relay
    store = (EXAMPLES / "doorward-seaweedfs.service").read_text()
    assert f"-s3.port={config.bucket.endpoint.rsplit(':', 1)[1]}" in store
