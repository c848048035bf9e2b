"""Step "network": the network that the card names, joined; or the reason why it isn't.

The Wi-Fi of `network-config` (a flasher's) or of an invitation goes into a netplan file of our own,
which only root can read, and off the card; cloud-init keeps its hands off the network from then on.
A network-config that isn't ours, such as Raspberry Pi Imager's, is left to cloud-init.

Whether the password is wrong is judged by `iw`, which is there under NetworkManager and networkd
alike: the access point names our network, but our station never becomes authorised (IEEE 802.11i,
the four-way handshake). Whether the internet is there isn't asked: a relay at home is enough.
"""

import json
import re
from typing import Any

from provisioning import netplan
from provisioning.errors import WifiRefused
from provisioning.first_boot.board import Board
from provisioning.first_boot.errors import CommandFailed, StepFailed
from provisioning.first_boot.fields import MAX_DOCUMENT_BYTES
from provisioning.first_boot.host import Host
from provisioning.first_boot.places import NETPLAN, NETWORK_CONFIG
from provisioning.first_boot.timer import Timer
from provisioning.wifi import Network

CLOUD_INIT_OFF = "/etc/cloud/cloud.cfg.d/99-doorward-network.cfg"
CLOUD_INIT_ALL_OFF = "/etc/cloud/cloud-init.disabled"
CLOUD_INIT_NETPLAN = "/etc/netplan/50-cloud-init.yaml"
PROFILES = "/run/NetworkManager/system-connections"
RADIO = "wlan0"
WAIT_S, LOOK_EVERY_S = 45, 3


class NetworkStep:
    """The step."""

    name = "network"

    def __init__(self, board: Board, timer: Timer) -> None:
        self._board = board
        self._timer = timer

    def is_done(self, host: Host) -> bool:
        """Return whether the card has no network left to import, and there is an address."""
        return _pending(host) is None and address_of(host) is not None

    def do(self, host: Host) -> None:
        """Import the card's network, and wait for an address."""
        pending = _pending(host)
        if pending is not None:
            store_network(host, pending)
        wifi = _stored_network(host)
        if wifi is not None:
            _switch_radio_on(host, wifi.country)
        for _ in range(WAIT_S // LOOK_EVERY_S):
            if address_of(host) is not None:
                return
            self._timer.sleep(LOOK_EVERY_S)
        raise self._failure(host, wifi)

    def _failure(self, host: Host, wifi: Network | None) -> StepFailed:
        """Return why there is no address."""
        ssid = wifi.ssid if wifi is not None else _profile_ssid(host)
        if ssid is None:
            return _failed("no_network_file", "the card names no network, and no cable has one")
        if not host.exists(f"/sys/class/net/{RADIO}"):
            return _failed("no_wifi_device", "the kernel finds no Wi-Fi on this board")
        if "country 00" in _text(host, "iw", "reg", "get").partition("\n\n")[0]:
            return _failed("wifi_no_country", "Wi-Fi stays off until it knows its country")
        if "authorized:\tyes" in _text(host, "iw", "dev", RADIO, "station", "dump"):
            return _failed("wifi_no_address", f"{ssid!a} is joined, but gives no address")
        if _is_in_sight(host, ssid):
            return _failed("wifi_wrong_password", f"{ssid!a} is there and refuses the password")
        if self._board.has_5_ghz:
            return _failed("wifi_not_found", f"{ssid!a} isn't in sight")
        return _failed("wifi_not_found_2_4_ghz", f"{ssid!a} isn't in sight at 2.4 GHz")


def store_network(host: Host, config: dict[str, Any]) -> None:
    """Make this the machine's network, and take its key off the card."""
    host.write(NETPLAN, netplan.encode({"network": config}), 0o600)
    if not host.exists(CLOUD_INIT_ALL_OFF):
        host.write(CLOUD_INIT_OFF, b"network: {config: disabled}\n")
    host.remove(CLOUD_INIT_NETPLAN)
    erase_card_network(host)
    host.run("netplan", "apply")


def erase_card_network(host: Host) -> None:
    """Leave a network-config on the card that names no Wi-Fi, if there is one that does."""
    plain = netplan.encode(netplan.network_config(None))
    data = host.read(NETWORK_CONFIG, max_bytes=MAX_DOCUMENT_BYTES)
    if data is not None and data != plain and b"wifis" in data:
        host.write(NETWORK_CONFIG, plain)


def address_of(host: Host) -> str | None:
    """Return an address under which the machine can be reached, IPv4 if there is one."""
    try:
        found = json.loads(host.run("ip", "-j", "address", "show", "scope", "global", "up"))
        addresses = [
            (part["family"] != "inet", str(part["local"]))
            for interface in found
            for part in interface.get("addr_info", ())
            if "local" in part
        ]
    except (CommandFailed, ValueError, KeyError, TypeError):
        return None
    return min(addresses)[1] if addresses else None


def _pending(host: Host) -> dict[str, Any] | None:
    """Return the card's network-config if it is ours and names a Wi-Fi network."""
    data = host.read(NETWORK_CONFIG, max_bytes=MAX_DOCUMENT_BYTES)
    if data is None or len(data) > MAX_DOCUMENT_BYTES:
        return None
    try:
        network = netplan.configured_network(json.loads(data))
    except (ValueError, RecursionError, WifiRefused):
        return None
    return None if network is None else netplan.network_config(network)


def _stored_network(host: Host) -> Network | None:
    data = host.read(NETPLAN)
    try:
        return None if data is None else netplan.configured_network(json.loads(data)["network"])
    except (ValueError, KeyError, TypeError, WifiRefused):
        return None


def _profile_ssid(host: Host) -> str | None:
    """Return the name of a network that cloud-init gave to NetworkManager."""
    folder = host.path(PROFILES)
    for path in sorted(folder.glob("*.nmconnection")) if folder.is_dir() else ():
        found = re.search(r"^ssid=(.+)$", path.read_text(errors="replace"), re.MULTILINE)
        if found is not None:
            return found[1]
    return None


def _switch_radio_on(host: Host, country: str) -> None:
    for command in (("rfkill", "unblock", "wifi"), ("iw", "reg", "set", country)):
        try:
            host.run(*command)
        except CommandFailed:
            continue  # looked at again if no address comes


def _is_in_sight(host: Host, ssid: str) -> bool:
    scan = _text(host, "iw", "dev", RADIO, "scan") or _text(
        host, "iw", "dev", RADIO, "scan", "dump"
    )
    return f"\tSSID: {_as_iw_writes(ssid)}\n" in scan


def _as_iw_writes(ssid: str) -> str:
    """Return a name in the form of iw's print_ssid_escaped."""
    data = ssid.encode()
    ends = (0, len(data) - 1)
    return "".join(
        chr(byte)
        if (32 < byte < 127 and byte != 92) or (byte == 32 and place not in ends)
        else f"\\x{byte:02x}"
        for place, byte in enumerate(data)
    )


def _text(host: Host, *command: str) -> str:
    try:
        return host.run(*command).decode(errors="replace")
    except CommandFailed:
        return ""


def _failed(code: str, text: str) -> StepFailed:
    return StepFailed(code, text, will_retry=True)
