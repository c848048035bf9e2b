"""The options of `doorward-relay moderate …`: a moderator's decisions, at the relay's command line.

The same code decides here as on the moderators' pages; whoever sits here is the moderator called
operator. Also who has an administrator's account for those pages, and how one is ended.
`relay.cli.moderate_commands` carries the commands out.
"""

import argparse
from pathlib import Path
from typing import get_args

from firmware.protocol.register.entries import RefusedCategory


def add_moderate_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `moderate` to the relay's command line."""
    text = "read requests that wait for publication, and pass or refuse them"
    parser = commands.add_parser("moderate", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, run, what in (
        ("list", _list, "list waiting requests: emergencies, then the oldest first; then appeals"),
        ("pass", _pass, "approve a request for publication with the next batch"),
        ("refuse", _refuse, "refuse a request; only its category goes into the register"),
        ("uphold", _decide_appeal, "decide an appeal: the refusal stands"),
        ("overturn", _decide_appeal, "decide an appeal: the request goes on to publication"),
        ("people", _people, "list the administrators' accounts for the pages"),
        ("end", _end, "end an administrator's account for the pages"),
    ):
        action = actions.add_parser(name, help=what, description=what)
        action.set_defaults(run=run, verdict=name)
        action.add_argument("--config", type=Path, required=True, metavar="relay.toml")
        if name == "list":
            action.add_argument("--json", action="store_true", help="print it as JSON")
        elif name == "end":
            action.add_argument("account", metavar="ACCOUNT", help="its id, as `people` shows it")
        elif name != "people":
            action.add_argument("request", metavar="REQUEST", help="its id")
        if name == "refuse":
            action.add_argument("--category", required=True, choices=get_args(RefusedCategory))
        if name in ("refuse", "uphold", "overturn"):
            action.add_argument("--reason", required=True, help="for the request's officers alone")


def _list(options: argparse.Namespace) -> int:
    from relay.cli.moderate_commands import list_waiting

    return list_waiting(options)


def _pass(options: argparse.Namespace) -> int:
    from relay.cli.moderate_commands import pass_on

    return pass_on(options)


def _refuse(options: argparse.Namespace) -> int:
    from relay.cli.moderate_commands import refuse

    return refuse(options)


def _decide_appeal(options: argparse.Namespace) -> int:
    from relay.cli.moderate_commands import decide_appeal

    return decide_appeal(options)


def _people(options: argparse.Namespace) -> int:
    from relay.cli.moderate_commands import show_people

    return show_people(options)


def _end(options: argparse.Namespace) -> int:
    from relay.cli.moderate_commands import end_account

    return end_account(options)
