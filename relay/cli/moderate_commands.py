"""The commands `doorward-relay moderate …`, with the same service as the moderators' pages."""

import argparse
import asyncio
import sys
from datetime import UTC, datetime

import msgspec

from relay.agency.register import RegisterService
from relay.base.appeal_verdicts import AppealVerdict
from relay.cli.register import clock_in, with_register
from relay.config.loader import load
from relay.errors import RelayError
from relay.people.admins import end_admin, list_admins
from relay.request.appeals import Appeals
from relay.request.moderation import Moderation, describe_waiting, parse_category
from relay.store.database import Database


def list_waiting(options: argparse.Namespace) -> int:
    """Print the waiting requests and appeals."""
    config = load(options.config)

    async def show(database: Database, register: RegisterService) -> None:
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


def pass_on(options: argparse.Namespace) -> int:
    """Approve a request for publication with the next batch."""
    config = load(options.config)

    async def decide(database: Database, register: RegisterService) -> None:
        await Moderation(database, clock_in(config), register).pass_on(options.request)

    asyncio.run(with_register(config, decide))
    print(f"{options.request}: published when the batch is over", file=sys.stderr)
    return 0


def refuse(options: argparse.Namespace) -> int:
    """Refuse a request, with a category for the register and a reason for its officers."""
    config = load(options.config)
    category = parse_category(options.category)

    async def decide(database: Database, register: RegisterService) -> None:
        desk = Moderation(database, clock_in(config), register)
        await desk.refuse(options.request, category, reason=options.reason)

    asyncio.run(with_register(config, decide))
    print(f"{options.request}: refused; the register says {category}", file=sys.stderr)
    return 0


def decide_appeal(options: argparse.Namespace) -> int:
    """Decide an appeal, by the command's own name: uphold or overturn."""
    config = load(options.config)
    is_upheld = options.verdict == "uphold"

    async def decide(database: Database, _register: RegisterService) -> None:
        desk = Appeals(database, clock_in(config))
        verdict: AppealVerdict = "upheld" if is_upheld else "overturned"
        await desk.decide(options.request, verdict, reason=options.reason)

    asyncio.run(with_register(config, decide))
    said = "the refusal stands" if is_upheld else "published when the batch is over"
    print(f"{options.request}: {said}", file=sys.stderr)
    return 0


def show_people(options: argparse.Namespace) -> int:
    """Print the administrators' accounts for the pages."""

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


def end_account(options: argparse.Namespace) -> int:
    """End an administrator's account for the pages; RelayError if there is none."""
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
