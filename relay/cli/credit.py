"""The options of `doorward-relay credit …`: the ledger of doorbells that partners pay for.

    credit endow                                                 15 doorbells at the start, once
    credit partner add --name … --kind charity --contact … --email …
    credit fund PARTNER --cents 130000
    credit campaign add --partner PARTNER --code SPRING-26 --budget 130000
    credit match SPRING-26 --partner ONE --partner TWO --cents 65000
    credit book                                                  the relay does so by itself
    credit recipients publish NAME --partner PARTNER --by lot --doorbells 5 --numbers FILE
    credit recipients draw NAME
    credit issue NAME --recipient-number 12 --out receipt.txt

`relay.cli.credit_commands` carries the commands out.
"""

import argparse
from pathlib import Path
from typing import get_args

from relay.credit.partner_kinds import PartnerKind


def add_credit_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `credit` to the relay's command line."""
    text = "keep the public ledger of doorbells that partners pay for"
    actions = _group(commands, "credit", text)
    _action(actions, "endow", "endow the pot with the first 15 doorbells, once")
    text = "take a partner's money in"
    fund = _action(actions, "fund", text)
    fund.add_argument("partner", metavar="PARTNER", help="its id, as `credit show` prints it")
    fund.add_argument("--cents", type=int, required=True, metavar="N")
    match = _action(actions, "match", "add the same amount of two partners to a campaign's budget")
    match.add_argument("code", metavar="CODE")
    match.add_argument("--partner", action="append", required=True, metavar="PARTNER", help="twice")
    match.add_argument("--cents", type=int, required=True, metavar="N", help="of each of the two")
    _action(actions, "book", "book the sign-ups that are due, and close the months that are over")
    _action(actions, "show", "print balances, campaigns and recipient lists")
    issue = _action(actions, "issue", "issue a doorbell to a drawn recipient, with a receipt")
    issue.add_argument("list", metavar="LIST", help="the recipient list's name")
    issue.add_argument("--recipient-number", type=int, required=True, metavar="N")
    issue.add_argument("--out", type=Path, required=True, metavar="FILE", help="the receipt, new")
    _add_partner(actions)
    _add_campaign(actions)
    _add_recipients(actions)


def _add_partner(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "who pays for doorbells; nobody with a login to the agencies' portal"
    add = _action(_group(actions, "partner", text), "add", "add a partner", run=_run_partner)
    add.add_argument("--name", required=True, help="public")
    add.add_argument("--kind", required=True, choices=get_args(PartnerKind))
    add.add_argument("--contact", required=True, help="who acts for the partner; not public")
    add.add_argument("--email", required=True, metavar="ADDRESS", help="not public")


def _add_campaign(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "public codes with which owners sign up"
    add = _action(_group(actions, "campaign", text), "add", "begin a campaign", run=_run_campaign)
    add.add_argument("--partner", required=True, metavar="PARTNER")
    add.add_argument("--code", required=True, help="4 to 24 of A-Z, 0-9 and dashes")
    add.add_argument("--budget", type=int, required=True, metavar="CENTS")


def _add_recipients(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "lists of numbers of those who get a doorbell, by published need or by lot"
    own = _group(actions, "recipients", text)
    publish = _action(own, "publish", "publish a list; its digest goes into the log", run=_run_list)
    publish.add_argument("name", metavar="NAME", help="a-z, 0-9 and dashes")
    publish.add_argument("--partner", required=True, metavar="PARTNER", help="who hands them out")
    publish.add_argument("--by", required=True, choices=("need", "lot"))
    publish.add_argument("--doorbells", type=int, required=True, metavar="N")
    text = "a recipient's number on each line; by need with its points: 12 3"
    publish.add_argument("--numbers", type=Path, required=True, metavar="FILE", help=text)
    text = "by need: a file that says what gives points"
    publish.add_argument("--need-en", type=Path, metavar="FILE", help=f"{text}, in English")
    publish.add_argument("--need-sv", type=Path, metavar="FILE", help=f"{text}, in Swedish")
    draw = _action(own, "draw", "draw the lots by a later checkpoint of the log", run=_run_draw)
    draw.add_argument("name", metavar="NAME")


def _group(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    parser = commands.add_parser(name, help=text, description=text)
    return parser.add_subparsers(required=True, metavar="ACTION")


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    *,
    run: object = None,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text)
    parser.add_argument("--config", type=Path, required=True, metavar="relay.toml")
    parser.set_defaults(run=run or _RUNS[name])
    return parser


def _run_partner(options: argparse.Namespace) -> int:
    from relay.cli.credit_commands import add_partner

    return add_partner(options)


def _run_campaign(options: argparse.Namespace) -> int:
    from relay.cli.credit_commands import add_campaign

    return add_campaign(options)


def _run_endow(options: argparse.Namespace) -> int:
    from relay.cli.credit_commands import endow

    return endow(options)


def _run_fund(options: argparse.Namespace) -> int:
    from relay.cli.credit_commands import fund

    return fund(options)


def _run_match(options: argparse.Namespace) -> int:
    from relay.cli.credit_commands import match

    return match(options)


def _run_book(options: argparse.Namespace) -> int:
    from relay.cli.credit_commands import run_bookings

    return run_bookings(options)


def _run_show(options: argparse.Namespace) -> int:
    from relay.cli.credit_commands import show

    return show(options)


def _run_list(options: argparse.Namespace) -> int:
    from relay.cli.credit_commands import publish_list

    return publish_list(options)


def _run_draw(options: argparse.Namespace) -> int:
    from relay.cli.credit_commands import draw_list

    return draw_list(options)


def _run_issue(options: argparse.Namespace) -> int:
    from relay.cli.credit_commands import issue

    return issue(options)


_RUNS = {
    "endow": _run_endow,
    "fund": _run_fund,
    "match": _run_match,
    "book": _run_book,
    "show": _run_show,
    "issue": _run_issue,
}
