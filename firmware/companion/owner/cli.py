"""`doorward`: what an owner does at their own machine, or at the one that plays the doorbell.

`press` and `show` talk to the control socket of a doorbell with mocked pins: one JSON line each
way. The owner's own commands are in `firmware.companion.owner.options`.
"""

import argparse
import base64
import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from firmware.companion.authenticator.errors import PersonError
from firmware.companion.owner.options import add_commands
from firmware.companion.viewer.errors import ViewerError
from firmware.errors import ControlError, VaultError
from firmware.protocol.command_line import quiet_pipe
from firmware.protocol.encoding import WireError
from firmware.protocol.plain_text import plain

DEFAULT_DATA_DIR = Path("demo-data/doorbell")
SOCKET_NAME = "control.sock"
SERVICE_HOLD_S = 3.2
ANSWER_TIMEOUT_S = 15.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_PICTURE_BYTES = 3_000_000
"""In base64 it must fit into one line of 4 MiB."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@quiet_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code (1: it didn't work, 2: wrong use)."""
    options = _parser().parse_args(arguments)
    try:
        done: int = options.run(options)
    except (ControlError, VaultError, PersonError, ViewerError, WireError) as error:
        print(f"doorward: {plain(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return done


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
        description="What an owner does at their own machine; and play at the door of a doorbell "
        "that has mocked pins.",
    )
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    press = commands.add_parser("press", help="press the bell")
    button = press.add_mutually_exclusive_group()
    button.add_argument(
        "--service",
        action="store_true",
        help="hold the service button inside the case instead (opens pairing)",
    )
    button.add_argument(
        "--briefly",
        action="store_true",
        help="press that service button once, briefly (after pairing's four words)",
    )
    show = commands.add_parser("show", help="hold a picture before the camera, such as a QR code")
    show.add_argument("picture", type=Path, metavar="PICTURE", help="a PNG file")
    show.add_argument(
        "--seconds", type=_seconds, default=10.0, metavar="N", help="for how long (10)"
    )
    add_commands(commands)
    for command in (press, show):
        command.set_defaults(run=_play)
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


def _play(options: argparse.Namespace) -> int:
    order, done = _order(options)
    send_order(options.data / SOCKET_NAME, order)
    print(done)
    return 0


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
    if options.briefly:
        return {"do": "press", "pin": "service"}, "The service button was pressed briefly."
    return {"do": "press", "pin": "bell"}, "The bell was pressed."


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
