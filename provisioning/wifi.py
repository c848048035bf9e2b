"""Wi-Fi networks as a person names them: checked, and with the key that the card carries.

WPA2 carries the derived key (IEEE 802.11i, H.4: PBKDF2 with SHA-1, 4,096 rounds), which joins that
network as its password does, but tells nothing of the words. WPA3 needs the password itself; the
first boot removes it. Open networks and WEP aren't joined. The first boot reads this module too, so
it imports the standard library only, not firmware/protocol/wifi.py; a test holds both to one key.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from provisioning.errors import WifiRefused

Security = Literal["wpa2", "wpa3"]
MAX_SSID_BYTES = 32
LEAST_PASSWORD, MOST_PASSWORD = 8, 63
HEX_KEY = re.compile(r"[0-9a-fA-F]{64}")
ROUNDS, KEY_BYTES = 4096, 32
INTEGER_LIST = re.compile(r"\s*[0-9]{1,3}\s*;(\s*[0-9]{1,3}\s*;)*\s*", re.ASCII)
"""A name that NetworkManager takes for the bytes of one, in its keyfiles; `\\;` is a `;` to it."""
COUNTRY = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Network:
    """One network; `key` is 64 hexadecimal digits for WPA2, the password for WPA3."""

    ssid: str
    key: str
    security: Security
    country: str
    is_hidden: bool = False

    def __repr__(self) -> str:
        """Never show the key."""
        return f"Network({self.ssid!r}, {self.security}, {self.country})"


def network_of(
    ssid: str,
    password: str,
    *,
    country: str,
    security: Security = "wpa2",
    is_hidden: bool = False,
) -> Network:
    """Check a network's name and password; raise WifiRefused with what is wrong."""
    check_ssid(ssid)
    check_country(country)
    if not password:
        raise WifiRefused("a network without a password isn't joined; everybody could listen in")
    if security == "wpa2" and HEX_KEY.fullmatch(password):
        return Network(
            ssid=ssid, key=password.lower(), security="wpa2", country=country, is_hidden=is_hidden
        )
    _check_password(password)
    key = password if security == "wpa3" else derived_key(ssid, password)
    return Network(ssid=ssid, key=key, security=security, country=country, is_hidden=is_hidden)


def derived_key(ssid: str, password: str) -> str:
    """Return WPA2's pre-shared key of a name and a password, in hexadecimal."""
    return hashlib.pbkdf2_hmac(
        "sha1", password.encode(), ssid.encode(), ROUNDS, dklen=KEY_BYTES
    ).hex()


def check_country(country: str) -> None:
    """Raise WifiRefused unless it is a country's two capital letters."""
    if COUNTRY.fullmatch(country) is None:
        raise WifiRefused(
            f"{country!r} is no country; Wi-Fi needs it in two capital letters, such as SE or US"
        )


def check_ssid(ssid: str) -> None:
    """Raise WifiRefused unless a network can have this name."""
    try:
        size = len(ssid.encode())
    except UnicodeEncodeError as error:
        raise WifiRefused("the network's name isn't text; rename it in the router") from error
    if not 1 <= size <= MAX_SSID_BYTES:
        raise WifiRefused(f"a network's name has 1 to {MAX_SSID_BYTES} bytes; this has {size}")
    if any(not character.isprintable() for character in ssid):
        raise WifiRefused("the network's name has a character that can't be shown; rename it")
    if INTEGER_LIST.fullmatch(ssid) or "\\;" in ssid:
        raise WifiRefused(
            "NetworkManager would read the network's name as another; rename it in the router"
        )


def _check_password(password: str) -> None:
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise WifiRefused(
            f"a Wi-Fi password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters; this has "
            f"{len(password)} (five or thirteen would be WEP, which isn't joined)"
        )
    if not all(32 <= ord(character) <= 126 for character in password):
        raise WifiRefused("a Wi-Fi password has only letters, digits and signs of ASCII")
