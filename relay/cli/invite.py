"""The options of `doorward-relay invite …`: one-time invitations of doorbells and of people.

`relay.cli.doorbell_invitation` and `relay.cli.person_invitation` carry the command out.
"""

import argparse
import asyncio
from pathlib import Path

from relay.config.loader import load
from relay.errors import ConfigError


def add_invite_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `invite` to the relay's command line."""
    text = "make a one-time invitation for a doorbell, an owner, an officer or an administrator"
    parser = commands.add_parser("invite", help=text, description=text)
    parser.add_argument("whom", choices=("doorbell", "owner", "officer", "admin"))
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="doorbell: write doorward.json here; it enrols one doorbell for whoever holds it, "
        "once, and ends in 14 days",
    )
    parser.add_argument("--link", action="store_true", help="doorbell: print it as a link")
    parser.add_argument("--device", metavar="ID", help="owner: the doorbell of a co-owner")
    parser.add_argument("--agency", metavar="ID", help="officer: the agency (required)")
    parser.add_argument(
        "--mail", metavar="ADDRESS", help="officer, admin: mail it to them too ([mail] is needed)"
    )
    parser.add_argument("--json", action="store_true", help='print {"invitation", "url"}')
    parser.add_argument("--config", type=Path, required=True, metavar="relay.toml")
    parser.set_defaults(run=_invite)


def _invite(options: argparse.Namespace) -> int:
    config = load(options.config)
    if options.whom == "doorbell":
        from relay.cli.doorbell_invitation import invite_doorbell

        return asyncio.run(invite_doorbell(config, options.out, is_link=options.link))
    if options.mail is not None:
        if options.whom not in ("officer", "admin"):
            raise ConfigError("--mail", options.mail, "an officer or an administrator to invite")
        if config.mail is None:
            expected = "a mail server in [mail] of relay.toml; without --mail it is only printed"
            raise ConfigError("--mail", options.mail, expected)
    from relay.cli.person_invitation import invite_person

    return asyncio.run(invite_person(config, options))
