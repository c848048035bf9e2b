"""The commands `doorward-relay moderate …`: a moderator's decisions at the command line.

The same code decides here as on the moderators' pages; whoever sits here is the moderator called
operator. Also who has an administrator's account for those pages, and how one is ended.
"""

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from relay.agency.register import RegisterDesk
from relay.cli.register import clock_in, with_register
from relay.config import load
from relay.errors import RelayError
from relay.people.admins import end_admin, list_admins
from relay.request.appeals import Appeals, AppealVerdict
from relay.request.moderation import CATEGORIES, Moderation, describe_waiting, parse_category
from relay.store.database import Database


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
            action.add_argument("--category", required=True, choices=CATEGORIES)
        if name in ("refuse", "uphold", "overturn"):
            action.add_argument("--reason", required=True, help="for the request's officers alone")


def _list(options: argparse.Namespace) -> int:
    config = load(options.config)

    async def show(database: Database, register: RegisterDesk) -> None:
        rows = await Moderation(database, clock_in(config), register).list()
        appeals = await Appeals(database, clock_in(config)).waiting()
        if options.json:
            waiting = [{"id": row.id, "request": row.request} for row in rows]
            print(msgspec.json.encode(waiting).decode())
            return
        for row in rows:
            print("\n".join(describe_waiting(row)))
        for appeal, row in appeals:
            print("\n".join(describe_waiting(row, appeal)))
        count = len(rows) + len(appeals)
        print(f"{count} wait" if count else "nothing waits", file=sys.stderr)

    asyncio.run(with_register(config, show))
    return 0


def _pass(options: argparse.Namespace) -> int:
    config = load(options.config)

    async def pass_on(database: Database, register: RegisterDesk) -> None:
        await Moderation(database, clock_in(config), register).pass_on(options.request)

    asyncio.run(with_register(config, pass_on))
    print(f"{options.request}: published when the batch is over", file=sys.stderr)
    return 0


def _refuse(options: argparse.Namespace) -> int:
    config = load(options.config)
    category = parse_category(options.category)

    async def refuse(database: Database, register: RegisterDesk) -> None:
        desk = Moderation(database, clock_in(config), register)
        await desk.refuse(options.request, category, reason=options.reason)

    asyncio.run(with_register(config, refuse))
    print(f"{options.request}: refused; the register says {category}", file=sys.stderr)
    return 0


def _decide_appeal(options: argparse.Namespace) -> int:
    config = load(options.config)
    is_upheld = options.verdict == "uphold"

    async def decide(database: Database, _register: RegisterDesk) -> None:
        desk = Appeals(database, clock_in(config))
        verdict: AppealVerdict = "upheld" if is_upheld else "overturned"
        await desk.decide(options.request, verdict, reason=options.reason)

    asyncio.run(with_register(config, decide))
    said = "the refusal stands" if is_upheld else "published when the batch is over"
    print(f"{options.request}: {said}", file=sys.stderr)
    return 0


def _people(options: argparse.Namespace) -> int:
    async def show() -> None:
        database = await Database.open(load(options.config).database)
        try:
            for one in await list_admins(database):
                since = datetime.fromtimestamp(one.created_ms / 1000, UTC).strftime("%Y-%m-%d")
                print(f"{one.id}  {one.name}  since {since}{'  ended' if one.is_ended else ''}")
        finally:
            await database.close()

    asyncio.run(show())
    return 0


def _end(options: argparse.Namespace) -> int:
    config = load(options.config)

    async def end() -> None:
        database = await Database.open(config.database)
        try:
            if not await end_admin(database, options.account, clock_in(config).wall_ms()):
                words = f"no administrator has the account {options.account}"
                raise RelayError(f"{words}; doorward-relay moderate people shows them")
        finally:
            await database.close()

    asyncio.run(end())
    print(f"{options.account}: ended, and signed out everywhere", file=sys.stderr)
    return 0
