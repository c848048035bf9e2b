"""Writes the golden vectors for Wi-Fi codes.

    python tests/vectors/make_wifi.py

All comes from firmware.protocol; tests/js/wifi.test.mjs reads it. Sealed bytes and signatures are
random by nature, so a new run gives other ones that hold as well.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.protocol import wifi
from firmware.protocol.encoding import b64u
from firmware.protocol.passkeys import challenge
from tests.fakes.wifi_codes import owners_passkey, sign_with_more
from tests.story.authenticator import SoftPasskey

HERE = Path(__file__).parent
DEVICE = "c" * 20
EXPIRES_MS = 1_790_000_000_000
WISHES: list[dict[str, Any]] = [
    {"ssid": "IEEE", "password": "password", "security": "wpa2", "country": "US"},
    {"ssid": "Öbergs nät", "password": "0f" * 32, "security": "wpa2", "country": "SE"},
    {"ssid": "a;b\\c", "password": ' "xyz;\\ ', "security": "wpa3", "country": "SE"},
]
"""The first is IEEE 802.11i's own example (H.4.3), but for its country."""


def main() -> None:
    """Write the file."""
    text = json.dumps(vectors(), indent=1, ensure_ascii=False, sort_keys=True)
    (HERE / "wifi.json").write_text(text + "\n", "utf-8")


def vectors() -> dict[str, Any]:
    """Return plain forms, one code of each form of client data, and texts of usual codes."""
    private = X25519PrivateKey.generate()
    passkey = owners_passkey()
    return {
        "plain": [_plain(wish, is_hidden=bool(n % 2)) for n, wish in enumerate(WISHES)],
        "device": DEVICE,
        "passkey": json.loads(passkey.key.encode()),
        "sealing_private_key": b64u(private.private_bytes_raw()),
        "sealing_key": b64u(private.public_key().public_bytes_raw()),
        "codes": [_code(passkey, private, has_more=has_more) for has_more in (False, True)],
        "usual": {
            "good": [
                "WIFI:T:WPA;S:Home;P:password;;",
                "WIFI:S:Ho\\;me;T:SAE;P:pass\\\\word;H:true;;",
                "WIFI:T:WPA2;S:Öberg;P:0123456789;H:false;;",
            ],
            "bad": [
                "WIFI:T:nopass;S:Cafe;;",
                "WIFI:S:Cafe;P:;;",
                "WIFI:T:WEP;S:Old;P:abcde;;",
                "WIFI:T:WPA;S:Home;P:short;;",
                "WIFI:T:WPA;S:Home;P:password;",
                "WIFI:T:WPA;T:WPA;S:Home;P:password;;",
                "WIFI:T:WPA;S:Home;P:pass\\word;;",
                "WIFI:T:WPA2-EAP;S:Work;P:password;;",
                "WIFI:T:WPA;S:Home;P:password;E:TTLS;;",
                "WIFI:T:WPA;S:Home;P:password;;x",
                "WIFI:T:WPA;S:" + "x" * 33 + ";P:password;;",
            ],
        },
    }


def _plain(wish: dict[str, Any], *, is_hidden: bool) -> dict[str, Any]:
    wanted = _wanted(wish, is_hidden=is_hidden)
    plain = wifi.plain_of(wanted)
    return {
        "wish": {**wish, "isHidden": is_hidden},
        "id": b64u(wanted.id),
        "expires_ms": EXPIRES_MS,
        "hex": plain.hex(),
    }


def _wanted(wish: dict[str, Any], *, is_hidden: bool) -> wifi.OwnersNetwork:
    named = {key: value for key, value in wish.items() if key not in ("ssid", "password")}
    network = wifi.network_of(wish["ssid"].encode(), wish["password"], is_hidden=is_hidden, **named)
    wifi_id = hashlib.sha256(wish["ssid"].encode()).digest()[: wifi.ID_BYTES]
    return wifi.OwnersNetwork(id=wifi_id, expires_ms=EXPIRES_MS, network=network)


def _code(passkey: SoftPasskey, private: X25519PrivateKey, *, has_more: bool) -> dict[str, Any]:
    sealed = wifi.seal_wifi(
        _wanted(WISHES[0], is_hidden=False),
        device=DEVICE,
        sealing_key=private.public_key().public_bytes_raw(),
    )
    digest = challenge(wifi.WIFI_TAG, wifi.wifi_document(DEVICE, sealed))
    assertion = sign_with_more(passkey, digest) if has_more else passkey.sign(digest)
    code = wifi.code_of(sealed, assertion, challenge_text=b64u(digest), origin=passkey.key.origin)
    return {
        "sealed": b64u(sealed),
        "document": wifi.wifi_document(DEVICE, sealed).decode(),
        "assertion": json.loads(assertion.encode()),
        "text": code.text,
    }


if __name__ == "__main__":
    main()
