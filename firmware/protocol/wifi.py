"""Wi-Fi networks in QR codes: an owner's sealed and signed code, and the usual `WIFI:` text.

An owner's code is "DWW1:" + base64url of

    sealed (168) ‖ size (1) ‖ rest of the authenticator data ‖ size (1) ‖ client data ‖ signature

`sealed` is the network in a form of fixed size, sealed by HPKE to one doorbell: neither the code's
size nor what is signed says anything of the name or the password. The passkey signs the digest of
the device id and the sealed bytes, so a code can be checked before it is opened. What the doorbell
knows already isn't in the code: the hash of the site at the beginning of the authenticator data,
and challenge and origin in the client data, for which `CHALLENGE_MARK` and `ORIGIN_MARK` stand; an
empty one is `USUAL_CLIENT_DATA`. So a code with an ES256 signature fits into a QR code of version
12 at level L.

    plain (120): id (16) ‖ expiry, s (4) ‖ country (2) ‖ flags (1) ‖ size, name (1 + 32)
                 ‖ size, key (1 + 63)

WPA2 has the derived key (32 bytes; IEEE 802.11i, H.4), WPA3 the password. The rest is zero. The
protocol judges no time: whether a code has expired or was used is the doorbell's to say.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from firmware.protocol.encoding import WireError, b64u, canonical, unb64u
from firmware.protocol.grants import Owner
from firmware.protocol.passkeys import Assertion, challenge, check_assertion
from firmware.protocol.sealing import open_sealed, seal_to

WIFI_PREFIX = "DWW1:"
WIFI_TAG = b"doorward/wifi/v1"
SEAL_INFO = b"doorward/sealed-wifi/v1\x00"
CODE_LIFE_MS = 10 * 60 * 1000
"""How long a code counts once it is signed: as long as the service button's window."""

ID_BYTES = 16
PLAIN_BYTES = 120
SEALED_BYTES = PLAIN_BYTES + 48
MAX_CODE_CHARS = 1200
"""An RSA passkey of 4,096 bits, and client data of an unusual form, are within it."""
MAX_WIFI_CHARS = 400

CHALLENGE_MARK = "\x01"
ORIGIN_MARK = "\x02"
USUAL_CLIENT_DATA = (
    f'{{"type":"webauthn.get","challenge":"{CHALLENGE_MARK}",'
    f'"origin":"{ORIGIN_MARK}","crossOrigin":false}}'
)
"""WebAuthn Level 3, section 5.8.1.1, without what a browser may add."""

MAX_SSID_BYTES = 32
LEAST_PASSWORD, MOST_PASSWORD = 8, 63
KEY_BYTES, KEY_ROUNDS = 32, 4096

Security = Literal["wpa2", "wpa3"]
_RP_HASH_BYTES = 32
_LEAST_AUTHENTICATOR_REST = 5
_WPA3, _HIDDEN = 0x01, 0x02
_HEX = re.compile(r"[0-9a-fA-F]{64}\Z")
_DERIVED_KEY = re.compile(r"[0-9a-f]{64}\Z")
_PASSWORD = re.compile(r"[ -~]{8,63}\Z")
_COUNTRY = re.compile(r"[A-Z]{2}\Z")
_WIFI_FIELDS = {"T", "S", "P", "H", "R"}
_ESCAPED = '\\;,:"'


RefusedReason = Literal["open_network", "wep", "refused"]


class WifiInvalid(WireError):
    """A Wi-Fi code isn't what it must be; the text says what was wrong, and what to do."""

    def __init__(self, message: str, reason: RefusedReason = "refused") -> None:
        super().__init__(message)
        self.reason: RefusedReason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class WifiNetwork:
    """One network that may be joined; raises WifiInvalid if it can't be.

    `key` is WPA2's derived key in hexadecimal, or WPA3's password. `country` is empty if nobody
    said: then the one that is set stays.
    """

    ssid: bytes
    key: str = field(repr=False)
    security: Security
    country: str = ""
    is_hidden: bool = False

    def __post_init__(self) -> None:
        """Refuse what no access point could have."""
        if not 1 <= len(self.ssid) <= MAX_SSID_BYTES:
            raise WifiInvalid(f"a network's name has 1 to {MAX_SSID_BYTES} bytes")
        if self.country and _COUNTRY.match(self.country) is None:
            raise WifiInvalid("a country is two capital letters, such as SE or US")
        if self.security == "wpa2" and _DERIVED_KEY.match(self.key) is None:
            raise WifiInvalid("WPA2's key is 64 hexadecimal digits in small letters")
        if self.security == "wpa3" and _PASSWORD.match(self.key) is None:
            raise WifiInvalid(_PASSWORD_HELP)

    @property
    def name(self) -> str:
        """The network's name for people: what can't be shown is replaced."""
        return ssid_text(self.ssid)


_OPEN = "a network without a password isn't joined: everybody could listen in"
_PASSWORD_HELP = (
    f"a Wi-Fi password has {LEAST_PASSWORD} to {MOST_PASSWORD} letters, digits and signs of ASCII"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnersNetwork:
    """What an owner's code says: a network, until when it counts, and an id to use it once."""

    id: bytes
    expires_ms: int
    network: WifiNetwork

    def __post_init__(self) -> None:
        """Refuse another id, a time that the form can't hold, and a network without country."""
        if len(self.id) != ID_BYTES:
            raise WifiInvalid(f"a Wi-Fi code's id is {ID_BYTES} bytes")
        if self.expires_ms % 1000 or not 0 <= self.expires_ms < 2**32 * 1000:
            raise WifiInvalid("a Wi-Fi code ends with a whole second before 2106")
        if not self.network.country:
            raise WifiInvalid("Wi-Fi needs the country in which the doorbell hangs")


@dataclass(frozen=True, slots=True, kw_only=True)
class WifiCode:
    """An owner's code as it was read. Neither signature nor content is checked."""

    sealed: bytes
    authenticator_rest: bytes
    client_data: str
    signature: bytes

    @property
    def text(self) -> str:
        """The text of the QR code."""
        client_data = self.client_data.encode()
        return WIFI_PREFIX + b64u(
            self.sealed
            + bytes([len(self.authenticator_rest)])
            + self.authenticator_rest
            + bytes([len(client_data)])
            + client_data
            + self.signature
        )


def network_of(
    ssid: bytes, password: str, *, security: Security, country: str = "", is_hidden: bool = False
) -> WifiNetwork:
    """Return the network of a name and a password, or raise WifiInvalid with what is wrong."""
    if not password:
        raise WifiInvalid(_OPEN, "open_network")
    if security == "wpa2" and _HEX.match(password):
        key = password.lower()
    elif _PASSWORD.match(password) is None:
        raise WifiInvalid(_PASSWORD_HELP)
    else:
        key = password if security == "wpa3" else derived_key(ssid, password)
    return WifiNetwork(ssid=ssid, key=key, security=security, country=country, is_hidden=is_hidden)


def derived_key(ssid: bytes, password: str) -> str:
    """Return WPA2's pre-shared key of a name and a password, in hexadecimal."""
    return hashlib.pbkdf2_hmac("sha1", password.encode(), ssid, KEY_ROUNDS, dklen=KEY_BYTES).hex()


def ssid_text(ssid: bytes) -> str:
    """Return a network's name as one line for people; what isn't printable becomes U+FFFD."""
    text = ssid.decode("utf-8", errors="replace")
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def seal_wifi(wanted: OwnersNetwork, *, device: str, sealing_key: bytes) -> bytes:
    """Seal a network to one doorbell (raw X25519); what the passkey signs is `wifi_document`."""
    return seal_to(sealing_key, plain_of(wanted), _info(device))


def wifi_document(device: str, sealed: bytes) -> bytes:
    """Return the document that an owner's passkey signs under `WIFI_TAG`."""
    return canonical({"device": device, "sealed": b64u(sealed)})


def code_of(sealed: bytes, assertion: Assertion, *, challenge_text: str, origin: str) -> WifiCode:
    """Return the code of a sealed network and an owner's signature; WifiInvalid if it is none."""
    client_data = _text_of(unb64u(assertion.client_data_json))
    if CHALLENGE_MARK in client_data or ORIGIN_MARK in client_data:
        raise WifiInvalid("the passkey's client data has a control character")
    template = client_data.replace(challenge_text, CHALLENGE_MARK).replace(origin, ORIGIN_MARK)
    code = WifiCode(
        sealed=sealed,
        authenticator_rest=unb64u(assertion.authenticator_data)[_RP_HASH_BYTES:],
        client_data="" if template == USUAL_CLIENT_DATA else template,
        signature=unb64u(assertion.signature),
    )
    if len(code.authenticator_rest) > 255 or len(code.client_data.encode()) > 255:
        raise WifiInvalid("this passkey says too much for a QR code; use another one")
    return code


def parse_wifi_code(text: str) -> WifiCode:
    """Parse an owner's code, or raise WireError."""
    if not text.startswith(WIFI_PREFIX):
        raise WifiInvalid("not a Doorward Wi-Fi code")
    if len(text) > MAX_CODE_CHARS:
        raise WifiInvalid("a Wi-Fi code that is too long")
    raw = unb64u(text[len(WIFI_PREFIX) :])
    sealed, rest = raw[:SEALED_BYTES], raw[SEALED_BYTES:]
    authenticator_rest, rest = _counted(rest)
    client_bytes, signature = _counted(rest)
    client_data = _text_of(client_bytes)
    if len(authenticator_rest) < _LEAST_AUTHENTICATOR_REST or not signature:
        raise WifiInvalid("a Wi-Fi code that is cut short")
    if client_data == USUAL_CLIENT_DATA:
        raise WifiInvalid("a Wi-Fi code that isn't in its one form")
    return WifiCode(
        sealed=sealed,
        authenticator_rest=authenticator_rest,
        client_data=client_data,
        signature=signature,
    )


def signer_of_wifi(code: WifiCode, *, device: str, owners: Iterable[Owner]) -> Owner | None:
    """Return the owner whose passkey truly signed this code for this doorbell; None: nobody's."""
    expected = challenge(WIFI_TAG, wifi_document(device, code.sealed))
    for owner in owners:
        try:
            check_assertion(_assertion_of(code, owner, expected), owner.passkey, expected)
        except WireError:
            continue
        return owner
    return None


def open_wifi(code: WifiCode, *, device: str, private_key: bytes) -> OwnersNetwork:
    """Open a code whose signature was checked, or raise WireError."""
    return parse_plain(open_sealed(private_key, code.sealed, _info(device)))


def parse_wifi_text(text: str) -> WifiNetwork:
    """Parse the usual text of a Wi-Fi QR code, or raise WifiInvalid with a sentence.

    `WIFI:T:WPA;S:name;P:password;H:true;;`, as ZXing defined it and the Wi-Fi Alliance took it over
    (WPA3 Specification, section 7.1). `\\` escapes one of `\\;,:"`. Each field comes once.
    """
    if not text.startswith("WIFI:"):
        raise WifiInvalid("not a Wi-Fi code")
    if len(text) > MAX_WIFI_CHARS:
        raise WifiInvalid("a Wi-Fi code that is too long")
    fields = _wifi_fields(text.removeprefix("WIFI:"))
    kind = fields.get("T", "nopass")
    if kind.lower() in ("", "nopass"):
        raise WifiInvalid(_OPEN, "open_network")
    if kind.upper() == "WEP":
        raise WifiInvalid(
            "this network uses WEP, which is broken: set the router to WPA2 or WPA3", "wep"
        )
    if kind not in ("WPA", "WPA2", "WPA3", "SAE"):
        raise WifiInvalid("this network uses a security that isn't joined: WPA2 and WPA3 are")
    hidden = fields.get("H", "false")
    if hidden not in ("true", "false", ""):
        raise WifiInvalid("this Wi-Fi code's H is neither true nor false")
    if not fields.get("S"):
        raise WifiInvalid("this Wi-Fi code names no network")
    return network_of(
        fields["S"].encode(),
        fields.get("P", ""),
        security="wpa3" if kind in ("SAE", "WPA3") else "wpa2",
        is_hidden=hidden == "true",
    )


def _wifi_fields(body: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name, value, is_named, position = "", "", False, 0
    while position < len(body):
        char = body[position]
        position += 1
        if char == "\\":
            if position >= len(body) or body[position] not in _ESCAPED:
                raise WifiInvalid("this Wi-Fi code has a \\ that escapes nothing")
            value += body[position]
            position += 1
        elif char == ":" and not is_named:
            name, value, is_named = value, "", True
        elif char == ";" and is_named:
            if name not in _WIFI_FIELDS or name in fields:
                raise WifiInvalid("this Wi-Fi code has a field that isn't known, or one twice")
            fields[name] = value
            name, value, is_named = "", "", False
        elif char == ";" and not value and position == len(body):
            return fields
        elif char == ";" or not char.isprintable():
            raise WifiInvalid("this Wi-Fi code isn't in the usual form")
        else:
            value += char
    raise WifiInvalid("this Wi-Fi code is cut short: it ends in ;;")


def _info(device: str) -> bytes:
    return SEAL_INFO + device.encode()


def plain_of(wanted: OwnersNetwork) -> bytes:
    """Return the bytes that are sealed."""
    network = wanted.network
    is_wpa3 = network.security == "wpa3"
    key = network.key.encode() if is_wpa3 else bytes.fromhex(network.key)
    return (
        wanted.id
        + (wanted.expires_ms // 1000).to_bytes(4, "big")
        + network.country.encode()
        + bytes([_WPA3 * is_wpa3 | _HIDDEN * network.is_hidden])
        + _padded(network.ssid, MAX_SSID_BYTES)
        + _padded(key, MOST_PASSWORD)
    )


def parse_plain(plain: bytes) -> OwnersNetwork:
    """Parse what was sealed, or raise WifiInvalid unless it is in its one form."""
    if len(plain) != PLAIN_BYTES:
        raise WifiInvalid(f"a sealed network of {len(plain)} bytes instead of {PLAIN_BYTES}")
    flags = plain[22]
    if flags & ~(_WPA3 | _HIDDEN):
        raise WifiInvalid("a sealed network with a flag that isn't known")
    ssid = _unpadded(plain[23:56])
    key = _unpadded(plain[56:])
    is_wpa3 = bool(flags & _WPA3)
    if not is_wpa3 and len(key) != KEY_BYTES:
        raise WifiInvalid("a sealed network whose key isn't WPA2's")
    try:
        country, password = plain[20:22].decode("ascii"), key.decode("ascii") if is_wpa3 else ""
    except UnicodeDecodeError as error:
        raise WifiInvalid("a sealed network with a country or password that is none") from error
    return OwnersNetwork(
        id=plain[:ID_BYTES],
        expires_ms=int.from_bytes(plain[16:20], "big") * 1000,
        network=WifiNetwork(
            ssid=ssid,
            key=password if is_wpa3 else key.hex(),
            security="wpa3" if is_wpa3 else "wpa2",
            country=country,
            is_hidden=bool(flags & _HIDDEN),
        ),
    )


def _padded(data: bytes, size: int) -> bytes:
    return bytes([len(data)]) + data.ljust(size, b"\x00")


def _unpadded(field_bytes: bytes) -> bytes:
    size, data = field_bytes[0], field_bytes[1:]
    if size > len(data) or any(data[size:]):
        raise WifiInvalid("a sealed network that isn't in its one form")
    return data[:size]


def _counted(data: bytes) -> tuple[bytes, bytes]:
    if not data or len(data) < 1 + data[0]:
        raise WifiInvalid("a Wi-Fi code that is cut short")
    return data[1 : 1 + data[0]], data[1 + data[0] :]


def _text_of(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise WifiInvalid("a Wi-Fi code whose client data isn't text") from error


def _assertion_of(code: WifiCode, owner: Owner, expected: bytes) -> Assertion:
    template = code.client_data or USUAL_CLIENT_DATA
    client_data = template.replace(CHALLENGE_MARK, b64u(expected)).replace(
        ORIGIN_MARK, owner.passkey.origin
    )
    site = hashlib.sha256(owner.passkey.rp_id.encode()).digest()
    return Assertion(
        credential_id=owner.passkey.credential_id,
        authenticator_data=b64u(site + code.authenticator_rest),
        client_data_json=b64u(client_data.encode()),
        signature=b64u(code.signature),
    )
