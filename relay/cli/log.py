"""The commands `doorward-relay log` and `legal-process`, about the public logs.

Only the command line belongs here; `relay.cli.log_commands` reads and writes the database. Keys
are made once; the policy says whom the world believes, so it is written by hand, from the vkeys
that the witnesses' own operators gave.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import get_args

from firmware.protocol.encoding import WireError
from firmware.protocol.register.entries import EXAMPLE_PREFIX
from firmware.protocol.tlog.signed_note import NoteKey, NoteRefused
from relay.config.loader import load
from relay.config.settings import Config, LogConfig
from relay.config.values import LOG_NAME_EXPECTED, parse_log_name
from relay.custody.errors import LogError
from relay.custody.keys import (
    CUSTODY_KEY_FILE,
    POLICY_FILE,
    REGISTER_KEY_FILE,
    charters_in,
    make_keys,
    make_policy,
    name_of,
    parse_witness,
    read_policy_file,
    read_signer,
    shards_line_in,
)
from relay.custody.legal_process import FeedYield, LegalKind, LegalYield
from relay.errors import ConfigError


def add_log_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to doorward-relay's."""
    text = "the two public logs: register and custody"
    log = commands.add_parser("log", help=text, description=text)
    actions = log.add_subparsers(required=True, metavar="ACTION")
    text = "make both logs' keys and write [log] into relay.toml; once"
    init = _with_config(actions.add_parser("init", help=text, description=text), _run_init)
    init.add_argument("--name", required=True, help="the logs' own; it can't be changed later")
    init.add_argument("--example", action="store_true", help="an invented town's, as in the demo")
    text = "with --example: the file of the town's simulated clock"
    init.add_argument("--town-clock", metavar="FILE", help=text)
    text = "print the logs' policy (keys, witnesses, quorum) for the relay and every doorbell"
    policy = _with_config(actions.add_parser("policy", help=text, description=text), _run_policy)
    policy.add_argument(
        "--witness", type=_witness, action="append", required=True, metavar="NAME=VKEY@URL",
        help="as doorward-witness keygen printed it, and where it is; once for each",
    )  # fmt: skip
    policy.add_argument("--quorum", type=int, default=2, metavar="N", help="so many must sign")
    policy.add_argument("--out", type=Path, metavar="FILE", help="write it here (not printed)")
    text = "show both logs: keys, sizes, and published checkpoints"
    _with_config(actions.add_parser("show", help=text, description=text), _run_show)
    text = "legal process that was served on this relay's operator"
    legal = commands.add_parser("legal-process", help=text, description=text)
    actions = legal.add_subparsers(required=True, metavar="ACTION")
    text = "add it to the public count; only its kind and its yield are published"
    add = _with_config(actions.add_parser("add", help=text, description=text), _run_legal)
    add.add_argument("--kind", choices=get_args(LegalKind), required=True)
    yields = sorted({*get_args(LegalYield), *get_args(FeedYield)})
    add.add_argument("--yielded", choices=yields, nargs="+", required=True)
    text = "it is about the neighbours' feed, and is counted apart"
    add.add_argument("--feed", action="store_true", help=text)
    text = "with --feed: tell the author of this post; leave it out if a court forbids telling"
    add.add_argument("--post", action="append", default=[], metavar="ID", help=text)


def _run_init(options: argparse.Namespace) -> int:
    config = load(options.config)
    if config.log is not None:
        raise LogError(f"{options.config} has a [log] already: {config.log.name}")
    name = name_of(_log_name(options.name), is_example=options.example)
    if options.town_clock is not None and not name.startswith(EXAMPLE_PREFIX):
        raise LogError("--town-clock: only an example town's clock can be wound; say --example")
    keys = make_keys(options.config.resolve().parent, _log_name(name))
    with options.config.open("a", encoding="utf-8") as file:
        file.write(
            f'\n[log]\nname = "{name}"\nregister_key = "{REGISTER_KEY_FILE}"\n'
            f'custody_key = "{CUSTODY_KEY_FILE}"\npolicy = "{POLICY_FILE}"\n'
        )
        if options.town_clock is not None:
            file.write(f"\n[example]\nclock = {json.dumps(options.town_clock)}\n")
    for key in keys.values():
        print(key.vkey)
    print(
        "These are the logs' public keys: give them to those who run your witnesses, and then\n"
        f"  doorward-relay log policy --witness NAME=VKEY@URL ... --out {POLICY_FILE} "
        f"--config {options.config}",
        file=sys.stderr,
    )
    return 0


def _run_policy(options: argparse.Namespace) -> int:
    log = _log_of(load(options.config))
    witnesses = dict(options.witness)
    if len(witnesses) != len(options.witness):
        raise LogError("each witness has a name of its own")
    keys = list(_keys(log).values())
    text = make_policy(keys, witnesses, options.quorum, charters_in(log.policy_path))
    text += shards_line_in(log.policy_path)
    if options.out is None:
        print(text.decode(), end="")
    else:
        options.out.write_bytes(text)
        print(f"{options.out}: the same file goes to every doorbell's card", file=sys.stderr)
        print(
            "Start the relay again. The register begins with its charter, which two administrators "
            "sign:\n  doorward-relay admin keygen --help\n  doorward-relay admin charter "
            f"--origin {log.name}/register --admin ID.json --admin ID.json --out charter.json",
            file=sys.stderr,
        )
    return 0


def _run_show(options: argparse.Namespace) -> int:
    from relay.cli.log_commands import show_sizes

    config = load(options.config)
    log = _log_of(config)
    for key in _keys(log).values():
        print(key.vkey)
    policy = read_policy_file(log)
    print(f"{len(policy.witnesses)} witnesses: {', '.join(one.name for one in policy.witnesses)}")
    asyncio.run(show_sizes(config, log, policy))
    return 0


def _run_legal(options: argparse.Namespace) -> int:
    from relay.cli.log_commands import add_feed_legal_process, add_legal_process

    config = load(options.config)
    _log_of(config)
    known = get_args(FeedYield if options.feed else LegalYield)
    if unknown := sorted(set(options.yielded) - set(known)):
        raise LogError(f"--yielded here is one of {', '.join(known)}, not {', '.join(unknown)}")
    if options.post and not options.feed:
        raise LogError("--post names a post of the neighbours' feed: say --feed as well")
    if options.feed:
        told = asyncio.run(
            add_feed_legal_process(config, options.kind, options.yielded, options.post)
        )
        print(f"authors who will be told: {told}", file=sys.stderr)
    else:
        asyncio.run(add_legal_process(config, options.kind, options.yielded))
    print("added: the relay publishes it within seconds, if it runs", file=sys.stderr)
    return 0


def _keys(log: LogConfig) -> dict[str, NoteKey]:
    paths = {"register": log.register_key_path, "custody": log.custody_key_path}
    return {name: read_signer(path).key for name, path in paths.items()}


def _log_of(config: Config) -> LogConfig:
    if config.log is None:
        raise ConfigError("[log]", None, "a log: doorward-relay log init makes its keys")
    return config.log


def _log_name(text: str) -> str:
    try:
        return parse_log_name(text)
    except (ValueError, TypeError) as error:
        raise ConfigError("--name", text, LOG_NAME_EXPECTED) from error


def _witness(text: str) -> tuple[str, tuple[NoteKey, str]]:
    try:
        return parse_witness(text)
    except NoteRefused as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    except (ValueError, WireError) as error:
        raise argparse.ArgumentTypeError(f"expected NAME=VKEY@URL, not {text}") from error


def _with_config(parser: argparse.ArgumentParser, run: object) -> argparse.ArgumentParser:
    parser.add_argument("--config", type=Path, required=True, metavar="relay.toml")
    parser.set_defaults(run=run)
    return parser
