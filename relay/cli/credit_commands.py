"""The commands `doorward-relay credit …`, with the same ledger as the relay's process."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from relay.agency.keys import write_new_file
from relay.agency.register import RegisterService
from relay.base.clock import Clock
from relay.cli.register import clock_in, with_register
from relay.config.loader import load
from relay.credit.bookings import Bookings
from relay.credit.distribution import Distribution
from relay.credit.errors import CreditRefused
from relay.credit.partners import Partners
from relay.credit.public_ledger import PublicLedger
from relay.credit.recipients import (
    MAX_CRITERION_CHARS,
    MAX_LIST_BYTES,
    RecipientList,
    recipients_in,
)
from relay.errors import ConfigError
from relay.store.database import Database

T = TypeVar("T")


def add_partner(options: argparse.Namespace) -> int:
    """Add a partner and print its id."""
    config = load(options.config)

    async def add(database: Database, register: RegisterService) -> str:
        async with database.read() as tx:
            agreements = (await register.replayed(tx)).agreements
        names = {one.agreement.name for records in agreements.values() for one in records}
        return await Partners(database, clock_in(config)).add(
            options.name,
            options.kind,
            contact=options.contact,
            email=options.email,
            agencies=names,
        )

    print(asyncio.run(with_register(config, add)))
    return 0


def endow(options: argparse.Namespace) -> int:
    """Endow the pot."""
    number = _with_ledger(options, lambda database, clock: Partners(database, clock).endow())
    print(f"the pot pays for 15 doorbells: transaction {number}", file=sys.stderr)
    return 0


def fund(options: argparse.Namespace) -> int:
    """Take a partner's money in."""
    number = _with_ledger(
        options,
        lambda database, clock: Partners(database, clock).fund(options.partner, options.cents),
    )
    print(f"{options.partner}: transaction {number}", file=sys.stderr)
    return 0


def add_campaign(options: argparse.Namespace) -> int:
    """Begin a campaign."""
    number = _with_ledger(
        options,
        lambda database, clock: Partners(database, clock).add_campaign(
            options.partner, options.code, options.budget
        ),
    )
    print(f"{options.code}: owners may sign up; transaction {number}", file=sys.stderr)
    return 0


def match(options: argparse.Namespace) -> int:
    """Add two partners' same amounts to a campaign's budget."""
    if len(options.partner) != 2:
        raise ConfigError("--partner", options.partner, "two partners who pay the same")
    one, two = options.partner
    number = _with_ledger(
        options,
        lambda database, clock: Partners(database, clock).match(
            options.code, (one, two), options.cents
        ),
    )
    print(f"{options.code}: transaction {number}", file=sys.stderr)
    return 0


def run_bookings(options: argparse.Namespace) -> int:
    """Book what is due, and print how many lots there were."""
    lots = _with_ledger(options, lambda database, clock: Bookings(database, clock).post_due())
    print(f"{lots} lots of 13 sign-ups booked", file=sys.stderr)
    return 0


def show(options: argparse.Namespace) -> int:
    """Print what is public: balances, campaigns and lists."""
    told = _with_ledger(options, lambda database, clock: PublicLedger(database, clock).overview())
    print(f"pot {told.pot_cents}, credit {told.credit_cents} cents, {told.issued} doorbells issued")
    for one in told.partners:
        print(f"partner {one.id} ({one.kind}, {one.name}): {one.cents} cents")
    for one in told.campaigns:
        print(f"campaign {one.id} ({one.name}): {one.cents} cents")
    for listed in told.lists:
        count = len(listed.listed.recipients)
        state = f"drawn, {len(listed.issued)} issued" if listed.drawn else "not drawn"
        print(f"list {listed.row.name}: {count} recipients, {state}")
    return 0


def publish_list(options: argparse.Namespace) -> int:
    """Publish a recipient list and print its digest."""
    numbers = _text(options.numbers, MAX_LIST_BYTES)
    need = [
        "" if path is None else _text(path, 4 * MAX_CRITERION_CHARS)
        for path in (options.need_en, options.need_sv)
    ]
    listed = RecipientList(
        name=options.name,
        partner=options.partner,
        by=options.by,
        doorbells=options.doorbells,
        need_en=need[0],
        need_sv=need[1],
        recipients=recipients_in(numbers, by=options.by),
    )
    print(
        _with_ledger(options, lambda database, clock: Distribution(database, clock).publish(listed))
    )
    return 0


def draw_list(options: argparse.Namespace) -> int:
    """Draw a list, and print the numbers that get a doorbell."""
    for number in _with_ledger(
        options, lambda database, clock: Distribution(database, clock).draw(options.name)
    ):
        print(number)
    return 0


def issue(options: argparse.Namespace) -> int:
    """Issue a doorbell, and write its receipt into a new file."""
    receipt = _with_ledger(
        options,
        lambda database, clock: Distribution(database, clock).issue(
            options.list,
            options.recipient_number,
            lambda text: write_new_file(options.out, text.encode(), mode=0o600),
        ),
    )
    print(f"{options.out}: print it for the recipient; the ledger has {receipt.sha256}")
    return 0


def _with_ledger(options: argparse.Namespace, use: Callable[[Database, Clock], Awaitable[T]]) -> T:
    config = load(options.config)

    async def run(database: Database, _register: RegisterService) -> T:
        return await use(database, clock_in(config))

    return asyncio.run(with_register(config, run))


def _text(path: Path, max_bytes: int) -> str:
    if path.stat().st_size > max_bytes:
        raise CreditRefused("list", f"{path} has more than {max_bytes} bytes")
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CreditRefused("list", f"{path} isn't text in UTF-8") from error
