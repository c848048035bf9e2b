"""Netplan's form of a doorbell's network: any cable, and one Wi-Fi network.

Written as JSON, which YAML reads as it is, so no name or password can end a string. Standard
library only: the flasher writes it onto the card, and the first boot reads it there.
"""

import json
from typing import Any

from provisioning.errors import WifiRefused
from provisioning.wifi import Network, network_of


def network_config(network: Network | None) -> dict[str, Any]:
    """Return netplan's form, version 2: any cable, and the one Wi-Fi network if there is one."""
    config: dict[str, Any] = {
        "version": 2,
        "ethernets": {"cable": {"match": {"name": "e*"}, "dhcp4": True, "optional": True}},
    }
    if network is not None:
        kind = "sae" if network.security == "wpa3" else "psk"
        point: dict[str, Any] = {"auth": {"key-management": kind, "password": network.key}}
        if network.is_hidden:
            point["hidden"] = True
        config["wifis"] = {
            "wlan0": {
                "dhcp4": True,
                "optional": True,
                "regulatory-domain": network.country,
                "access-points": {network.ssid: point},
            }
        }
    return config


def encode(config: dict[str, Any]) -> bytes:
    """Return a file's bytes. Not with JSON's escapes: YAML refuses those of pairs (emoji)."""
    return json.dumps(config, indent=2, ensure_ascii=False).encode() + b"\n"


def configured_network(config: object) -> Network | None:
    """Return the Wi-Fi network of what `network_config` made; None without one; or WifiRefused."""
    if not isinstance(config, dict):
        raise WifiRefused("the network's file isn't one of ours")
    wifis = config.get("wifis")
    if wifis is None:
        return None
    try:
        ((ssid, point),) = wifis["wlan0"]["access-points"].items()
        network = network_of(
            ssid,
            point["auth"]["password"],
            country=wifis["wlan0"]["regulatory-domain"],
            security="wpa3" if point["auth"]["key-management"] == "sae" else "wpa2",
            is_hidden=point.get("hidden", False) is True,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WifiRefused("the network's file isn't one of ours") from error
    if network_config(network) != config:
        raise WifiRefused("the network's file isn't one of ours")
    return network
