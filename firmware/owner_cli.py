"""`doorward`: what an owner does at their own machine, or at the one that plays the doorbell.

`press` and `show` talk to the control socket of a doorbell with mocked pins: one JSON line each
way. `recovery` makes a recovery key; its secret is shown once and kept nowhere.
"""

import argparse
import base64
import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from firmware.errors import ControlError, VaultError
from firmware.vault.recovery_words import (
    RecoveryKey,
    make_recovery_key,
    parse_recovery_secret,
    public_text_of,
)

DEFAULT_DATA_DIR = Path("demo-data/doorbell")
SOCKET_NAME = "control.sock"
SERVICE_HOLD_S = 3.2
ANSWER_TIMEOUT_S = 15.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_PICTURE_BYTES = 3_000_000
"""In base64 it must fit into one line of 4 MiB."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code (1: it didn't work, 2: wrong use)."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "recovery":
            done = _check_recovery() if options.check else _new_recovery()
        else:
            order, done = _order(options)
            send_order(options.data / SOCKET_NAME, order)
    except (ControlError, VaultError) as error:
        print(f"doorward: {error}", file=sys.stderr)
        return 1
    print(done)
    return 0


def send_order(path: Path, order: dict[str, Any]) -> None:  # Any: JSON values
    """Send one order to the doorbell at `path`; raise ControlError unless it says ok."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(json.dumps(order).encode() + b"\n")
            answer = _read_line(connection)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise ControlError(
            f"no doorbell listens at {path}. Start one with `make demo`; "
            "if its data is elsewhere, give --data DIR (the folder that holds control.sock). "
            'Only a doorbell with pins = "mock" has this socket'
        ) from error
    except PermissionError as error:
        raise ControlError(f"{path} belongs to another user; run this as that user") from error
    except TimeoutError as error:
        raise ControlError("the doorbell didn't answer in time; look at its log") from error
    except OSError as error:
        raise ControlError(f"{path}: {error}") from error
    _check_answer(answer)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="doorward",
        description="Make a recovery key, or play at the door of a doorbell that has mocked pins.",
    )
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    press = commands.add_parser("press", help="press the bell")
    press.add_argument(
        "--service",
        action="store_true",
        help="hold the service button inside the case instead (opens pairing)",
    )
    show = commands.add_parser("show", help="hold a picture before the camera, such as a QR code")
    show.add_argument("picture", type=Path, metavar="PICTURE", help="a PNG file")
    show.add_argument(
        "--seconds", type=_seconds, default=10.0, metavar="N", help="for how long (10)"
    )
    recovery = commands.add_parser(
        "recovery", help="make a key that opens your clips when the doorbell has died"
    )
    recovery.add_argument(
        "--check", action="store_true", help="type the words of a key that you have, to test them"
    )
    for command in (press, show):
        command.add_argument(
            "--data",
            type=Path,
            default=DEFAULT_DATA_DIR,
            metavar="DIR",
            help=f"the doorbell's data folder (./{DEFAULT_DATA_DIR})",
        )
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.1 <= seconds <= 120:
        raise argparse.ArgumentTypeError("from 0.1 to 120 seconds")
    return seconds


def _order(options: argparse.Namespace) -> tuple[dict[str, Any], str]:  # Any: JSON values
    if options.command == "show":
        order = {
            "do": "show",
            "png_b64": base64.b64encode(_read_picture(options.picture)).decode(),
            "seconds": options.seconds,
        }
        return order, f"The camera sees {options.picture} for {options.seconds:g} s."
    if options.service:
        order = {"do": "press", "pin": "service", "hold_s": SERVICE_HOLD_S}
        return order, "The service button was held."
    return {"do": "press", "pin": "bell"}, "The bell was pressed."


def _new_recovery() -> str:
    key = make_recovery_key()
    lines = [
        "These words open your clips when the doorbell has died. They are shown once and kept",
        "nowhere: write them down and lay them where you keep papers, not beside the doorbell.",
        "",
        *_numbered(key.words),
        "",
        *_qr_lines(key),
        "The doorbell needs only the public key. Put this into its doorbell.toml:",
        "",
        "[storage]",
        f'recovery_key = "{key.public_text}"',
        "",
        "Clips that are recorded from then on can be opened with the words. Test what you wrote",
        "down: doorward recovery --check. Then clear this window.",
    ]
    return "\n".join(lines)


def _numbered(words: Sequence[str]) -> list[str]:
    cells = [f"{number:2}. {word:9}" for number, word in enumerate(words, 1)]
    return ["  " + " ".join(cells[i : i + 3]).rstrip() for i in range(0, len(cells), 3)]


def _qr_lines(key: RecoveryKey) -> list[str]:
    if not sys.stdout.isatty() or sys.stdout.encoding.lower() != "utf-8":
        return []
    from firmware.capture.qr import draw_qr  # loads a C library

    return ["The same words, for a printer or another screen:", draw_qr(" ".join(key.words)), ""]


def _check_recovery() -> str:
    if sys.stdin.isatty():
        print("Type the words (in one or more lines), then an empty line:")
    lines = []
    while line := sys.stdin.readline().strip():
        lines.append(line)
    public = public_text_of(parse_recovery_secret(" ".join(lines)))
    return f'The words are right. They belong to recovery_key = "{public}"'


def _read_picture(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ControlError(f"{path} can't be read: {error.strerror}") from error
    if not data.startswith(PNG_SIGNATURE):
        raise ControlError(f"{path} isn't a PNG file; save the picture as PNG")
    if len(data) > MAX_PICTURE_BYTES:
        raise ControlError(f"{path} is over {MAX_PICTURE_BYTES} bytes; make it smaller")
    return data


def _read_line(connection: socket.socket) -> bytes:
    answer = bytearray()
    while not answer.endswith(b"\n") and len(answer) <= MAX_ANSWER_BYTES:
        piece = connection.recv(4096)
        if not piece:
            break
        answer += piece
    return bytes(answer)


def _check_answer(answer: bytes) -> None:
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise ControlError("the doorbell's answer isn't JSON; look at its log") from error
    if not isinstance(parsed, dict) or parsed.get("ok") is not True:
        reason = parsed.get("error", "no reason given") if isinstance(parsed, dict) else parsed
        raise ControlError(f"the doorbell refused: {reason}")


if __name__ == "__main__":
    sys.exit(main())
