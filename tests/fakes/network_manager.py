"""NetworkManager and the air around a board, as `nmcli` shows them to the Wi-Fi helper."""

import configparser
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from provisioning.wifi_helper import CommandFailed

CARDS_UUID = "11111111-2222-3333-4444-555555555555"


@dataclass
class FakeNetworkManager:
    """Takes the place of `provisioning.wifi_helper.run_command`."""

    profiles: Path
    air: dict[bytes, str] = field(default_factory=dict)
    """Networks that are in reach, and the key of each."""
    has_wifi: bool = True
    active: str | None = CARDS_UUID
    ssid: bytes | None = b"Old"
    """The network that the board is in now."""
    loaded: dict[str, dict[str, str]] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)

    def __call__(self, argv: Sequence[str]) -> str:
        self.commands.append(list(argv))
        match list(argv):
            case ["iw", "reg", "set", _]:
                return ""
            case ["nmcli", "-t", "-f", "DEVICE,TYPE", "device"]:
                return "eth0:ethernet\n" + ("wlan0:wifi\n" if self.has_wifi else "") + "lo:loopback"
            case ["nmcli", "-t", "-f", "UUID,DEVICE", "connection", "show", "--active"]:
                return f"{self.active}:wlan0\n" if self.active else ""
            case ["nmcli", "connection", "reload"]:
                return self._reload()
            case ["nmcli", "--wait", _, "connection", "up", "uuid", uuid, *_]:
                return self._up(uuid)
        raise AssertionError(f"nmcli was called in a way that nobody foresaw: {argv}")

    def read(self, name: str) -> dict[str, str] | None:
        """Return a profile's settings as NetworkManager's keyfile has them; None: there is none."""
        path = self.profiles / f"{name}.nmconnection"
        if not path.exists():
            return None
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(path.read_text())
        return {
            f"{part}.{key}": value
            for part in parser.sections()
            for key, value in parser[part].items()
        }

    def restart(self) -> None:
        """Cut the power and start: what is in memory (the profiles' folder) is gone."""
        for path in self.profiles.iterdir():
            path.unlink()
        self.loaded.clear()
        self.active, self.ssid = CARDS_UUID, b"Old"

    def _reload(self) -> str:
        names = [path.stem for path in self.profiles.glob("*.nmconnection")]
        told = [self.read(name) or {} for name in names]
        self.loaded = {one["connection.uuid"]: one for one in told}
        if self.active not in (*self.loaded, CARDS_UUID, None):
            self.active, self.ssid = None, None
        return ""

    def _up(self, uuid: str) -> str:
        if uuid == CARDS_UUID:
            self.active, self.ssid = uuid, b"Old"
            return ""
        profile = self.loaded.get(uuid)
        if profile is None:
            raise CommandFailed("Error: unknown connection")
        ssid = bytes(int(byte) for byte in profile["wifi.ssid"].split(";") if byte)
        if ssid not in self.air:
            raise CommandFailed("Error: activation failed: The Wi-Fi network could not be found")
        if self.air[ssid] != profile["wifi-security.psk"]:
            self.active, self.ssid = None, None
            raise CommandFailed("Error: activation failed: Secrets were required, but not provided")
        self.active, self.ssid = uuid, ssid
        return ""
