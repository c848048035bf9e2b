"""Wi-Fi codes as an owner's app makes them, with real keys and signatures."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.protocol import wifi
from firmware.protocol.encoding import b64u, unb64u
from firmware.protocol.grants import Owner
from firmware.protocol.passkeys import Assertion, challenge
from firmware.wifi.window import WifiWindow
from tests.story.authenticator import SoftPasskey

DEVICE = "c" * 20
NOW_MS = 1_790_000_000_000
HOME = wifi.network_of(b"Home", "password", security="wpa2", country="SE")


def owners_passkey() -> SoftPasskey:
    return SoftPasskey.create(rp_id="home.example", origin="https://home.example")


def usual_text(name: str = "Home", kind: str = "WPA") -> str:
    return f"WIFI:T:{kind};S:{name};P:password;;"


@dataclass
class WifiPeople:
    """One doorbell's sealing key, and an owner who signs codes for it."""

    passkey: SoftPasskey = field(default_factory=owners_passkey)
    private: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    made: int = 0

    @property
    def owner(self) -> Owner:
        return Owner(name="Mary", passkey=self.passkey.key)

    @property
    def sealing_private_key(self) -> bytes:
        return self.private.private_bytes_raw()

    def code(
        self,
        network: wifi.WifiNetwork = HOME,
        *,
        device: str = DEVICE,
        sealed_to: str | None = None,
        expires_ms: int = NOW_MS + 60_000,
        signed_by: SoftPasskey | None = None,
        code_id: bytes | None = None,
        sign: Callable[[SoftPasskey, bytes], Assertion] = SoftPasskey.sign,
    ) -> str:
        """Return the text of a code for `device`; `sealed_to` is the one that it is sealed for."""
        self.made += 1
        wanted = wifi.OwnersNetwork(
            id=code_id or self.made.to_bytes(wifi.ID_BYTES, "big"),
            expires_ms=expires_ms,
            network=network,
        )
        sealed = wifi.seal_wifi(
            wanted,
            device=sealed_to or device,
            sealing_key=self.private.public_key().public_bytes_raw(),
        )
        passkey = signed_by or self.passkey
        digest = challenge(wifi.WIFI_TAG, wifi.wifi_document(device, sealed))
        return wifi.code_of(
            sealed,
            sign(passkey, digest),
            challenge_text=b64u(digest),
            origin=passkey.key.origin,
        ).text


class NobodysWifi:
    """Implements `firmware.wifi.window.WifiOwners` and `UsedIds`: no owner, and nothing used."""

    owners: tuple[Owner, ...] = ()

    def has(self, code_id: bytes) -> bool:
        del code_id
        return False


def closed_window() -> WifiWindow:
    """Return a window for Wi-Fi codes of a doorbell that nobody owns."""
    nobody = NobodysWifi()
    return WifiWindow(device=DEVICE, sealing_private_key=bytes(32), owners=nobody, used=nobody)


def sign_with_more(passkey: SoftPasskey, digest: bytes) -> Assertion:
    """Sign as a browser that adds members to its client data, in an order of its own."""
    usual = json.loads(unb64u(passkey.sign(digest).client_data_json))
    said = {"other": "do not compare", **usual}
    return passkey.assertion_over(json.dumps(said, separators=(",", ":")).encode())
