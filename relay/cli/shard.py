"""The options of `doorward-relay shard …`; `relay.cli.shard_commands` carries them out."""

import argparse
import asyncio
from pathlib import Path

from relay.config.loader import load


def add_shard_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `shard` to the relay's command line."""
    text = "make the signed directory of shards; move doorbells to another shard, and take them"
    parser = commands.add_parser("shard", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    text = "make, sign or check the directory that doorbells hold a relay's word to"
    directory = actions.add_parser("directory", help=text, description=text)
    _add_directory(directory.add_subparsers(required=True, metavar="ACTION"))
    text = "write doorbells, with their people, for another shard; this relay gives them up"
    action = actions.add_parser(
        "move",
        help=text,
        description=f"{text}. `move` at the other shard brings back those that haven't arrived "
        "there yet, and no others: they follow the other's register by then. Before they arrive, "
        "they can be moved nowhere else.",
    )
    action.set_defaults(run=_move)
    action.add_argument("--to", required=True, metavar="SHARD", help="its id in the directory")
    action.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new file")
    which = action.add_mutually_exclusive_group()
    which.add_argument(
        "--devices", type=Path, metavar="FILE", help="a file with their ids, one a line"
    )
    which.add_argument(
        "--count",
        type=int,
        default=0,
        metavar="N",
        help="at most so many that will be led there, of whole households; 1000 at a time",
    )
    action.add_argument(
        "--claims",
        action="store_true",
        help="move the invitations that nobody has used, too, but for those from another shard",
    )
    action.add_argument(
        "--policy",
        type=Path,
        metavar="POLICY.txt",
        help="the policy on the doorbells' cards, whose signers count (default: this relay's)",
    )
    action.add_argument("--config", type=Path, required=True, metavar="relay.toml")
    text = "take the doorbells that another shard has moved here, all or none"
    action = actions.add_parser(
        "take", help=text, description=f"{text}. A file counts until one of them is moved again."
    )
    action.set_defaults(run=_take)
    action.add_argument("file", type=Path, metavar="FILE")
    action.add_argument("--config", type=Path, required=True, metavar="relay.toml")


def _add_directory(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "write a directory that nobody has signed yet"
    action = actions.add_parser("make", help=text, description=text)
    action.set_defaults(run=_make)
    action.add_argument("--number", type=int, required=True, help="above that of the last edition")
    action.add_argument("--days", type=int, default=90, help="for how long it counts (default: 90)")
    action.add_argument(
        "--shard",
        nargs=5,
        action="append",
        required=True,
        metavar=("ID", "URL", "CA.pem", "POLICY.txt", "STATE"),
        help="a shard: its relay's public_url, its fleet CA, its policy, and open or closed; given "
        "for each",
    )
    action.add_argument("--out", type=Path, required=True, metavar="FILE")
    text = "show a directory and add one signature; each signer does so alone"
    action = actions.add_parser("sign", help=text, description=text)
    action.set_defaults(run=_sign)
    action.add_argument("key", type=Path, metavar="KEY", help="as doorward-release key makes it")
    action.add_argument("file", type=Path, metavar="FILE")
    text = "show a directory, if it counts for doorbells with this policy"
    action = actions.add_parser("check", help=text, description=text)
    action.set_defaults(run=_check)
    action.add_argument("file", type=Path, metavar="FILE")
    action.add_argument("--policy", type=Path, required=True, metavar="POLICY.txt")
    action.add_argument(
        "--known", type=int, default=0, metavar="N", help="the number of the last edition"
    )


def _make(options: argparse.Namespace) -> int:
    from relay.cli.shard_commands import make_directory

    make_directory(options.out, options.shard, number=options.number, days=options.days)
    return 0


def _sign(options: argparse.Namespace) -> int:
    from relay.cli.shard_commands import sign_directory

    sign_directory(options.file, options.key)
    return 0


def _check(options: argparse.Namespace) -> int:
    from relay.cli.shard_commands import check_directory

    check_directory(options.file, options.policy, options.known)
    return 0


def _move(options: argparse.Namespace) -> int:
    from relay.cli.shard_commands import move_doorbells

    moving = move_doorbells(
        load(options.config),
        options.to,
        options.out,
        devices=options.devices,
        count=options.count,
        has_claims=options.claims,
        policy=options.policy,
    )
    asyncio.run(moving)
    return 0


def _take(options: argparse.Namespace) -> int:
    from relay.cli.shard_commands import take_doorbells

    asyncio.run(take_doorbells(load(options.config), options.file))
    return 0
