"""A FIDO2 key in software behind its real interface: 64-byte HID reports in, 64-byte reports out.

CTAP 2.1: INIT and CBOR over CTAPHID, getInfo, clientPIN (PIN/UV auth protocols one and two),
makeCredential and getAssertion with ES256. The touch is given at once, the PIN is checked.
"""

import hashlib
import hmac
import secrets
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from fido2 import cbor
from fido2.cose import ES256
from fido2.hid import CtapHidDevice
from fido2.hid.base import CtapHidConnection, HidDescriptor

REPORT_BYTES = 64
BROADCAST, CHANNEL = 0xFFFFFFFF, 0x00C0FFEE
INIT, CBOR, KEEPALIVE, CANCEL = 0x86, 0x90, 0xBB, 0x91
MAKE, GET, INFO, PIN = 0x01, 0x02, 0x04, 0x06
OK, NO_CREDENTIALS, PIN_INVALID, PIN_AUTH_BLOCKED, PIN_AUTH_INVALID = 0x00, 0x2E, 0x31, 0x34, 0x33
UNSUPPORTED_ALGORITHM, OPERATION_DENIED, PUAT_REQUIRED = 0x26, 0x27, 0x36
UP, UV, ATTESTED = 0x01, 0x04, 0x40


class Refused(Exception):
    """A CTAP status that isn't success."""

    def __init__(self, status: int) -> None:
        self.status = status


@dataclass
class FidoKeyFake(CtapHidConnection):
    """One key with its PIN, plugged in."""

    pin: str = "4711"
    is_touched: bool = True
    credentials: dict[bytes, tuple[str, ec.EllipticCurvePrivateKey]] = field(default_factory=dict)
    users: dict[bytes, bytes] = field(default_factory=dict)
    """The user handles of discoverable credentials, which are found by their site alone."""
    pins_left: int = 3
    is_closed: bool = False
    counter: int = 6

    def __post_init__(self) -> None:
        self._out: deque[bytes] = deque()
        self._message = b""
        self._size = 0
        self._agreement = ec.generate_private_key(ec.SECP256R1())
        self._token = b""
        self._shared = b""

    def plugged_in(self) -> Iterator[CtapHidDevice]:
        """List it, as the machine lists what is plugged in."""
        descriptor = HidDescriptor("fake", 0, 0, REPORT_BYTES, REPORT_BYTES, "Fake", None)
        self.is_closed = False
        yield CtapHidDevice(descriptor, self)

    # The interface of a HID connection.

    def write_packet(self, data: bytes) -> None:
        assert len(data) == REPORT_BYTES
        channel, command = struct.unpack_from(">IB", data)
        if command & 0x80:
            if command == CANCEL:
                return
            self._command, self._size = command, struct.unpack_from(">H", data, 5)[0]
            self._message = data[7:]
        else:
            self._message += data[5:]
        if len(self._message) >= self._size:
            message, self._message = self._message[: self._size], b""
            self._send(channel, self._command, self._answer(channel, self._command, message))

    def read_packet(self) -> bytes:
        return self._out.popleft()

    def close(self) -> None:
        self.is_closed = True

    def _send(self, channel: int, command: int, data: bytes) -> None:
        if command == CBOR:
            head = struct.pack(">IBH", channel, KEEPALIVE, 1) + b"\x02"
            self._out.append(head.ljust(REPORT_BYTES, b"\0"))
        head, sequence = struct.pack(">IBH", channel, command, len(data)), 0
        while data or head[4] & 0x80:
            room = REPORT_BYTES - len(head)
            self._out.append((head + data[:room]).ljust(REPORT_BYTES, b"\0"))
            data = data[room:]
            head, sequence = struct.pack(">IB", channel, sequence), sequence + 1

    def _answer(self, channel: int, command: int, message: bytes) -> bytes:
        if command == INIT:
            assert channel == BROADCAST
            return message + struct.pack(">IBBBBB", CHANNEL, 2, 5, 0, 0, 0x04 | 0x08)
        assert command == CBOR
        given = cbor.decode(message[1:]) if len(message) > 1 else {}
        try:
            answer = {MAKE: self._make, GET: self._get, INFO: self._info, PIN: self._client_pin}[
                message[0]
            ](given)
        except Refused as refused:
            return bytes([refused.status])
        return bytes([OK]) + (cbor.encode(answer) if answer else b"")

    def _auth_data(self, rp_id: str, flags: int) -> bytes:
        self.counter += 1
        head = hashlib.sha256(rp_id.encode()).digest() + bytes([flags])
        return head + struct.pack(">I", self.counter)

    # What the key does.

    def _info(self, _: dict) -> dict:
        return {
            1: ["FIDO_2_0", "FIDO_2_1"],
            3: b"doorward-fake-hw",
            4: {"rk": True, "up": True, "clientPin": True, "pinUvAuthToken": True},
            5: 1200,
            6: [2, 1],
        }

    def _client_pin(self, given: dict) -> dict:
        match given[2]:
            case 1:
                return {3: self.pins_left}
            case 2:
                return {
                    1: dict(ES256.from_cryptography_key(self._agreement.public_key())) | {3: -25}
                }
            case 5 | 9:
                return {2: self._pin_token(given)}
        raise AssertionError(given)

    def _pin_token(self, given: dict) -> bytes:
        if self.pins_left == 0:
            raise Refused(PIN_AUTH_BLOCKED)
        point = given[3]
        other = ec.EllipticCurvePublicNumbers(
            int.from_bytes(point[-2], "big"), int.from_bytes(point[-3], "big"), ec.SECP256R1()
        ).public_key()
        z = self._agreement.exchange(ec.ECDH(), other)
        key = _aes_key(z, given[1])
        sent = _decrypt(key, given[6], given[1])
        if not hmac.compare_digest(sent, hashlib.sha256(self.pin.encode()).digest()[:16]):
            self.pins_left -= 1
            self._agreement = ec.generate_private_key(ec.SECP256R1())
            raise Refused(PIN_INVALID if self.pins_left else PIN_AUTH_BLOCKED)
        self.pins_left = 3
        self._token = secrets.token_bytes(32)
        return _encrypt(key, self._token, given[1])

    def _check_user(self, given: dict, param: int, protocol: int) -> int:
        """Return the flags: who is there, and whether they are known."""
        if not self.is_touched:
            raise Refused(OPERATION_DENIED)
        if param not in given:
            raise Refused(PUAT_REQUIRED)
        mac = hmac.new(self._token, given[1], hashlib.sha256).digest()
        if not self._token or given[param] != (mac if given[protocol] == 2 else mac[:16]):
            raise Refused(PIN_AUTH_INVALID)
        return UP | UV

    def _make(self, given: dict) -> dict:
        if -7 not in [one["alg"] for one in given[4]]:
            raise Refused(UNSUPPORTED_ALGORITHM)
        flags = self._check_user(given, 8, 9)
        private, credential_id = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(48)
        rp_id = given[2]["id"]
        self.credentials[credential_id] = (rp_id, private)
        if given.get(7, {}).get("rk"):
            self.users[credential_id] = given[3]["id"]
        key = cbor.encode(dict(ES256.from_cryptography_key(private.public_key())))
        attested = bytes(16) + struct.pack(">H", len(credential_id)) + credential_id + key
        return {1: "none", 2: self._auth_data(rp_id, flags | ATTESTED) + attested, 3: {}}

    def _get(self, given: dict) -> dict:
        wanted = [one["id"] for one in given[3]] if 3 in given else list(self.users)
        known = [one for one in wanted if one in self.credentials]
        known = [one for one in known if self.credentials[one][0] == given[1]]
        if not known:
            raise Refused(NO_CREDENTIALS)
        flags = self._check_user({1: given[2], 6: given.get(6), 7: given.get(7)}, 6, 7) if (
            6 in given
        ) else UP  # fmt: skip
        data = self._auth_data(given[1], flags)
        private = self.credentials[known[0]][1]
        found = {4: {"id": self.users[known[0]]}} if known[0] in self.users else {}
        return found | {
            1: {"id": known[0], "type": "public-key"},
            2: data,
            3: private.sign(data + given[2], ec.ECDSA(hashes.SHA256())),
        }


def _aes_key(z: bytes, protocol: int) -> bytes:
    if protocol == 1:
        return hashlib.sha256(z).digest()
    info = b"CTAP2 AES key"
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=bytes(32), info=info).derive(z)


def _decrypt(key: bytes, data: bytes, protocol: int) -> bytes:
    iv, data = (bytes(16), data) if protocol == 1 else (data[:16], data[16:])
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def _encrypt(key: bytes, data: bytes, protocol: int) -> bytes:
    iv = bytes(16) if protocol == 1 else secrets.token_bytes(16)
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    sealed = encryptor.update(data) + encryptor.finalize()
    return sealed if protocol == 1 else iv + sealed
