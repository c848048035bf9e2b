"""Plays Raspberry Pi OS's `rpi-fw-crypto` program on a machine without a Pi.

    python rpi_fw_crypto.py BOARD COMMAND …

Takes the real program's commands `pubkey` and `hmac` with `--in`, `--key-id` and `--outform hex`,
and fails with its words (raspberrypi/utils, rpifwcrypto/main.c). BOARD is a file with the key in
hexadecimal, or with `unset`, `locked`, `hang`, `echo` (old firmware leaves the question in the
answer's place) or `zeros` (it computes with no key). `calls` beside it counts the questions.
"""

import hmac
import sys
import time
from pathlib import Path


def main(board: Path, command: str, *arguments: str) -> int:
    """Answer one question."""
    with board.with_name("calls").open("a") as calls:
        calls.write(f"{command}\n")
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    state = board.read_text()
    if state == "hang":
        time.sleep(60)
    if state == "locked":
        print("Failed to open /dev/vcio: Permission denied", file=sys.stderr)
        return 255
    if options["--key-id"] != "1" or options["--outform"] != "hex":
        return 1
    if command == "pubkey":
        if state == "unset":
            print("Failed to get public key: Crypto algorithm error", file=sys.stderr)
            print("Last crypto error: 6 (Key not set (all zeros))", file=sys.stderr)
            return 255
        print("3059" + "00" * 89, end="")
        return 0
    if command == "hmac":
        message = Path(options["--in"]).read_bytes()
        print(answer(state, message).hex(), end="")
        return 0
    return 1


def answer(state: str, message: bytes) -> bytes:
    """Return what the firmware gives."""
    if state == "echo":
        return (len(message).to_bytes(4, "little") + message).ljust(32, b"\x00")[:32]
    key = bytes(32) if state == "zeros" else bytes.fromhex(state)
    return hmac.digest(key, message, "sha256")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
