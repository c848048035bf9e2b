"""Any network is read back by netplan and NetworkManager as it was named, or refused beforehand.

Raspberry Pi OS lets netplan write NetworkManager's keyfiles. They are read here by the rules of
GLib's key files and of NetworkManager's `nm-keyfile.c`.
"""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.cloud_init import Wishes, card_files
from provisioning.errors import WifiRefused
from provisioning.wifi import Network, network_of
from tests.provisioning.test_cloud_init import CLAIM, HAVE

GENERATE = Path("/usr/libexec/netplan/generate")
pytestmark = pytest.mark.skipif(
    shutil.which("netplan") is None or not GENERATE.exists(), reason="netplan isn't installed"
)

ESCAPES = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
INTEGERS = re.compile(r"\s*\d{1,3}\s*;(\s*\d{1,3}\s*;)*\s*", re.ASCII)
NASTY = st.text(st.sampled_from("\"'\\;#[]=%$(){}:-!&*|>@`,? 019atrueåß☕\t"), max_size=12)
PRINTED = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=63)
BYTES = st.binary(min_size=1, max_size=33).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


def networks(pairs: list[tuple[str, str]]) -> Iterator[Network]:
    for ssid, password in pairs:
        try:
            yield network_of(ssid, password, country="SE", security="wpa3")
        except WifiRefused:
            continue


def keyfile_value(line: str) -> str:
    """Return what GLib reads of a value."""
    value = line.partition("=")[2].lstrip(" \t")
    return re.sub(r"\\(.)", lambda found: ESCAPES[found.group(1)], value)


def ssid_of(value: str) -> bytes:
    """Return what NetworkManager takes for a network's name."""
    if INTEGERS.fullmatch(value):
        return bytes(int(number) for number in value.split(";")[:-1])
    return value.replace("\\;", ";").encode()


def as_read(config: dict[str, object]) -> dict[bytes, str]:
    """Return what NetworkManager would join: names and keys."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "etc" / "netplan" / "50-cloud-init.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"network": {**config, "renderer": "NetworkManager"}}))
        path.chmod(0o600)
        done = subprocess.run([str(GENERATE), "--root-dir", name], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        read = {}
        for file in (Path(name) / "run/NetworkManager/system-connections").glob("*wlan0*"):
            lines = file.read_text().split("\n")
            ssid, key = (
                keyfile_value(next(line for line in lines if line.startswith(f"{word}=")))
                for word in ("ssid", "psk")
            )
            read[ssid_of(ssid)] = key
    return read


@settings(max_examples=12)
@given(st.lists(st.tuples(NASTY | BYTES | st.text(max_size=32), PRINTED), max_size=20))
def test_names_and_passwords_of_every_byte(pairs: list[tuple[str, str]]):
    wanted = {network.ssid: network for network in networks(pairs)}
    if not wanted:
        return
    config, points = {}, {}
    for network in wanted.values():
        wishes = Wishes(serial="dw-1", claim=CLAIM, policy=None, network=network)
        config = json.loads(card_files(wishes, instance="i", have=HAVE)["network-config"])
        points |= config["wifis"]["wlan0"]["access-points"]
    config["wifis"]["wlan0"]["access-points"] = points
    assert as_read(config) == {network.ssid.encode(): network.key for network in wanted.values()}


@pytest.mark.parametrize("ssid", ["1;2;", "104; 105;", "a\\;b"])
def test_what_is_refused_would_have_been_read_as_another(ssid: str):
    with pytest.raises(WifiRefused, match="as another"):
        network_of(ssid, "correct horse", country="SE")
    point = {ssid: {"auth": {"key-management": "sae", "password": "correct horse"}}}
    config = {"version": 2, "wifis": {"wlan0": {"dhcp4": True, "access-points": point}}}
    assert ssid.encode() not in as_read(config)
