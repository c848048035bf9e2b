"""The files of a first boot."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.protocol.claims import Claim
from firmware.protocol.encoding import decode
from provisioning.cloud_init import Wishes, card_files
from provisioning.errors import CardDamaged, WifiRefused, WishRefused
from provisioning.netplan import encode
from provisioning.wifi import network_of

HAVE = {
    "cmdline.txt": b"console=serial0,115200 console=tty1 root=PARTUUID=12ab-02 rootwait resize\n",
    "config.txt": b"arm_64bit=1\n[pi4]\narm_boost=1\n",
}
CLAIM = Claim(
    relay_url="https://relay.example", secret="c2VjcmV0", ca_sha256="0" * 64, expires_ms=1
)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9wZW4gc2VzYW1lIG9wZW4gc2VzYW1lIG9w ada@example"


def wishes(**changed: Any) -> Wishes:
    fields: dict[str, Any] = {
        "serial": "dw-7k2m",
        "claim": CLAIM,
        "policy": b"log example\n",
        "network": network_of("Ada's home", "correct horse", country="SE"),
    }
    return Wishes(**{**fields, **changed})


def files_of(wanted: Wishes, have: dict[str, bytes] = HAVE) -> dict[str, bytes]:
    return card_files(wanted, instance="doorward-0011", have=have)


def test_the_kernels_line_stays_one_and_names_the_instance():
    line = files_of(wishes())["cmdline.txt"]
    begin = HAVE["cmdline.txt"].removesuffix(b" resize\n")
    assert line == begin + b" ro ds=nocloud;i=doorward-0011\n"
    again = files_of(wishes(), {**HAVE, "cmdline.txt": line})["cmdline.txt"]
    assert again == line


@pytest.mark.parametrize("word", ["resize", "rw"])
def test_the_kernels_line_lets_nothing_take_the_whole_card_or_write_to_the_root(word: str):
    have = f"{word} root=PARTUUID=12ab-02 {word} rootwait resize.x=1 {word}\n".encode()
    words = files_of(wishes(), {**HAVE, "cmdline.txt": have})["cmdline.txt"].split()
    assert word.encode() not in words
    assert words == [b"root=PARTUUID=12ab-02", b"rootwait", b"resize.x=1", b"ro", words[-1]]


def test_the_block_in_config_txt_is_replaced_and_nothing_else():
    once = files_of(wishes())["config.txt"]
    assert once.startswith(HAVE["config.txt"])
    assert once.count(b"dtparam=watchdog=on") == 1
    assert files_of(wishes(), {**HAVE, "config.txt": once})["config.txt"] == once
    with pytest.raises(CardDamaged, match="half a block"):
        files_of(wishes(), {**HAVE, "config.txt": once[:-30]})


def test_the_claim_and_the_policy_are_what_was_given():
    files = files_of(wishes())
    assert decode(Claim, files["doorward/claim.json"]) == CLAIM
    assert files["doorward/policy.txt"] == b"log example\n"
    assert "doorward/policy.txt" not in files_of(wishes(policy=None))


def test_ssh_is_off_unless_there_is_a_key():
    without, with_key = (
        json.loads(files_of(wishes(ssh_key=key))["user-data"][14:]) for key in (None, KEY)
    )
    assert (without["user"]["lock_passwd"], without["user"]["sudo"]) == (True, None)
    assert ["systemctl", "disable", "--now", "ssh"] in without["runcmd"]
    assert with_key["user"]["ssh_authorized_keys"] == [KEY]
    assert not with_key["ssh_pwauth"]


def test_the_wifi_key_is_derived_and_the_password_is_nowhere():
    files = files_of(wishes())
    assert not any(b"correct horse" in data for data in files.values())
    point = json.loads(files["network-config"])["wifis"]["wlan0"]["access-points"]["Ada's home"]
    assert point["auth"]["key-management"] == "psk"
    assert "wifis" not in json.loads(files_of(wishes(network=None))["network-config"])


@pytest.mark.parametrize("serial", ["", "-x", "x-", "a b", "å", "x" * 64, "a\nruncmd: []"])
def test_a_name_that_no_host_has_is_refused(serial: str):
    with pytest.raises(WishRefused, match="name"):
        files_of(wishes(serial=serial))


@pytest.mark.parametrize("key", ["", "AAAA", "ssh-dss AAAA", KEY + "\n" + KEY, "-----BEGIN"])
def test_what_is_no_public_key_is_refused(key: str):
    with pytest.raises(WishRefused, match=r"\.pub"):
        files_of(wishes(ssh_key=key))


@pytest.mark.parametrize("line", [None, b"", b"console=tty1\n", b"root=" + b"x" * 5000])
def test_a_card_without_a_kernels_line_is_damaged(line: bytes | None):
    have = {name: data for name, data in HAVE.items() if name != "cmdline.txt"}
    with pytest.raises(CardDamaged, match=r"cmdline\.txt"):
        files_of(wishes(), have if line is None else {**have, "cmdline.txt": line})


@given(st.text(), st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8))
def test_no_name_or_password_ends_a_string(ssid: str, password: str):
    try:
        network = network_of(ssid, password, country="SE", security="wpa3")
    except WifiRefused:
        return
    config = json.loads(files_of(wishes(network=network))["network-config"])
    points = config["wifis"]["wlan0"]["access-points"]
    assert list(points) == [ssid]
    assert points[ssid]["auth"]["password"] == password


def test_vendor_data_starts_the_first_boot_at_every_boot_without_waiting_for_it():
    document = json.loads(files_of(wishes())["vendor-data"].removeprefix(b"#cloud-config\n"))
    (command,) = document["bootcmd"]
    assert command[:2] == ["systemd-run", "--no-block"]
    assert "--property=RequiresMountsFor=/boot/firmware /var/lib/doorward" in command
    assert command[-1] == "/boot/firmware/doorward/first-boot.pyz"
    assert (document["growpart"], document["resize_rootfs"]) == ({"mode": "off"}, False)
    assert "first-boot" not in files_of(wishes())["user-data"].decode()


@pytest.mark.skipif(shutil.which("cloud-init") is None, reason="cloud-init isn't installed")
@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("name", ["user-data", "vendor-data"])
def test_cloud_init_finds_no_fault_with_it(tmp_path: Path, key: str | None, name: str):
    path = tmp_path / name
    path.write_bytes(files_of(wishes(ssh_key=key))[name])
    command = ["cloud-init", "schema", "-c", str(path), "-t", "cloud-config"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("netplan") is None, reason="netplan isn't installed")
@pytest.mark.parametrize("security", ["wpa2", "wpa3"])
@pytest.mark.parametrize("ssid", ["Home", "🏠", 'Ada\'s "home" $(x) \\n #1', "Hus ☕", "{}: -"])
def test_netplan_reads_the_same_network(tmp_path: Path, ssid: str, security: Any):
    network = network_of(ssid, "correct horse", country="SE", security=security)
    folder = tmp_path / "etc" / "netplan"
    folder.mkdir(parents=True)
    config = {"network": json.loads(files_of(wishes(network=network))["network-config"])}
    (folder / "50-cloud-init.yaml").write_bytes(encode(config))
    (folder / "50-cloud-init.yaml").chmod(0o600)
    command = ["netplan", "get", "--root-dir", str(tmp_path), "wifis.wlan0.access-points"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert network.key.encode() in done.stdout
