"""The command line of `doorward-witness`: create a key, run the witness, list its signatures.

    doorward-witness keygen --name witness.example/w1 --key witness.key --data witness/
    doorward-witness serve --key witness.key --data witness/ --log VKEY... [--listen HOST:PORT]
    doorward-witness show --data witness/ [--log VKEY...]

Whoever runs it gives the printed vkey to those who shall believe it. It listens without TLS: put a
proxy in front. Exit codes: 0 done, 1 it couldn't be done, 2 a bad argument.
"""

import argparse
import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from firmware.protocol.command_line import ZERO, quiet_pipe
from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.signed_note import NoteKey, NoteSigner, parse_key
from relay.base.clock import Clock, SimulatedClock, SystemClock
from relay.errors import RelayError
from relay.tools.witness.description import describe_log
from relay.tools.witness.errors import WitnessError
from relay.tools.witness.folder import (
    WitnessFolder,
    folder_key,
    group_by_origin,
    make_folder,
    read_key_file,
    read_signed,
    write_key_file,
)

DEFAULT_LISTEN = "127.0.0.1:8420"
MAX_CONNECTIONS = 64

log = logging.getLogger(__name__)


@quiet_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        code: int = options.run(options)
    except (RelayError, WireError) as error:
        print(f"doorward-witness: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _keygen(options: argparse.Namespace) -> int:
    signer = NoteSigner.generate(options.name, "cosignature")
    write_key_file(options.key, signer)
    make_folder(options.data, signer.key)
    print(signer.key.vkey)
    print(
        f"{options.key} is secret, and belongs to {options.data}: if that folder is lost, make "
        "another key. The line above is public.",
        file=sys.stderr,
    )
    return 0


def _serve(options: argparse.Namespace) -> int:
    import uvicorn

    from relay.tools.witness.cosigner import WitnessSigner
    from relay.tools.witness.server import build_server

    signer = read_key_file(options.key)
    logs = group_by_origin(options.log)
    clock: Clock = SystemClock()
    if options.example_clock is not None:
        clock = SimulatedClock(options.example_clock, logs=logs)
    folder = WitnessFolder.open(options.data, signer.key)
    try:
        cosigning = WitnessSigner(signer=signer, logs=logs, folder=folder, clock=clock)
        listener = _listen(options.listen)
        config = uvicorn.Config(
            build_server(cosigning),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            limit_concurrency=MAX_CONNECTIONS,
        )
        host, port = listener.getsockname()[:2]
        log.info("%s ready on %s:%d for %s", signer.key.name, host, port, ", ".join(logs))
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
    finally:
        folder.close()
    return 0


def _show(options: argparse.Namespace) -> int:
    key = folder_key(options.data)
    print(key.vkey)
    for origin, keys in group_by_origin(options.log).items():
        print(describe_log(origin, read_signed(options.data, key, origin, keys)))
    return 0


def _listen(text: str) -> socket.socket:
    host, _, port = text.rpartition(":")
    try:
        return socket.create_server((host, int(port)))
    except (OSError, ValueError, OverflowError) as error:
        raise WitnessError(f"can't listen on {text}: {error}; expected a free host:port") from error


def _vkey(text: str) -> NoteKey:
    try:
        return parse_key(text)
    except WireError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="doorward-witness",
        description="A witness: cosigns a transparency log's checkpoints that are consistent with "
        "those before. Run it independently of the log's operator.",
        epilog=f"Exit codes: 1 it couldn't be done, 2 a bad argument. {ZERO}",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    text = "make a new key and its folder; prints the public key"
    keygen = commands.add_parser("keygen", help=text, description=text)
    keygen.add_argument("--name", required=True, help="e.g. witness.example/w1; part of the key")
    keygen.add_argument("--key", type=Path, required=True, metavar="FILE", help="the secret key")
    keygen.add_argument("--data", type=Path, required=True, metavar="DIR", help="a new folder")
    keygen.set_defaults(run=_keygen)
    text = "run the witness until it is stopped"
    serve = commands.add_parser("serve", help=text, description=text)
    serve.add_argument("--key", type=Path, required=True, metavar="FILE", help="as keygen wrote it")
    serve.add_argument("--listen", default=DEFAULT_LISTEN, metavar="HOST:PORT")
    text = "logs of an example town only: the file of the town's simulated clock"
    serve.add_argument("--example-clock", type=Path, metavar="FILE", help=text)
    serve.set_defaults(run=_serve)
    text = "show the public key and the last signed checkpoints"
    show = commands.add_parser("show", help=text, description=text)
    show.set_defaults(run=_show)
    for command in (serve, show):
        command.add_argument("--data", type=Path, required=True, metavar="DIR", help="its folder")
        command.add_argument(
            "--log", type=_vkey, nargs="+", action="extend", default=[], metavar="VKEY",
            required=command is serve, help="public keys of the logs; a key's name is the origin",
        )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
