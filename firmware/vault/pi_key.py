"""The storage key in the Pi's one-time programmable memory (OTP), by `rpi-fw-crypto`.

Raspberry Pi OS brings that program (package raspi-utils). Its `hmac` command computes
HMAC-SHA256 with the board's device key, which stays in the firmware. It is asked once, at start:
all else is HMAC under that answer, so no clip waits for a program. Nothing is ever written to
the one-time memory here; how its owner makes the key is said in the error. Not tried on a Pi.
"""

import hmac
import subprocess
from collections.abc import Sequence

from firmware.errors import VaultError
from firmware.vault.storage_key import KEY_BYTES

PROGRAM = ("rpi-fw-crypto",)
KEY_ID = "1"
"""The device's own private key; further slots are the customer's."""
ROOT_MESSAGE = b"doorward/storage-root/v1"
TIMEOUT_S = 10.0
MAX_SAID_CHARACTERS = 300


class PiStorageKey:
    """A key bound to the board: the memory card in another board can't be read.

    Whoever is root on the running board can have it; locking the raw key needs signed boot and
    `lock_device_private_key=1` in config.txt.
    """

    is_off_card = True

    def __init__(self, program: Sequence[str] = PROGRAM, *, timeout_s: float = TIMEOUT_S) -> None:
        """Query the firmware; VaultError if this board has no key, or doesn't answer."""
        self._program = tuple(program)
        self._timeout_s = timeout_s
        # An HMAC with a key that isn't there has locked up boards (rpi-eeprom #796).
        self._ask("pubkey", "--key-id", KEY_ID, "--outform", "hex")
        text = self._ask(
            "hmac", "--in", "/dev/stdin", "--key-id", KEY_ID, "--outform", "hex",
            message=ROOT_MESSAGE,
        )  # fmt: skip
        self._root = _root_of(text)

    def hmac_sha256(self, message: bytes) -> bytes:
        """Return HMAC-SHA256 under what the board answered."""
        return hmac.digest(self._root, message, "sha256")

    def _ask(self, *arguments: str, message: bytes = b"") -> str:
        try:
            done = subprocess.run(
                [*self._program, *arguments],
                input=message,
                capture_output=True,
                timeout=self._timeout_s,
                check=False,
            )
        except FileNotFoundError as error:
            raise VaultError(
                f'storage.key = "pi" needs {self._program[0]}: run `sudo apt install raspi-utils`'
            ) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise VaultError(f"{self._program[0]} gave no answer: {error}") from error
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()[:MAX_SAID_CHARACTERS]
            raise VaultError(
                f"{self._program[0]} {arguments[0]} failed: {said or 'it said nothing'}. The "
                "doorbell must be allowed to open /dev/vcio (group video), and the board needs a "
                "device key: `rpi-fw-crypto genkey --key-id 1 --alg ec` makes one, for ever"
            )
        return done.stdout.decode("ascii", "replace")


def _root_of(text: str) -> bytes:
    try:
        root = bytes.fromhex(text)
    except ValueError:
        root = b""
    # Older firmware and tools answer without a key, or leave the question in the answer's place.
    unset = (
        bytes(KEY_BYTES),
        hmac.digest(bytes(KEY_BYTES), ROOT_MESSAGE, "sha256"),
        hmac.digest(b"", ROOT_MESSAGE, "sha256"),
    )
    if len(root) != KEY_BYTES or root in unset or ROOT_MESSAGE in root:
        raise VaultError("rpi-fw-crypto gave no key's HMAC; update the board's firmware and tools")
    return root
