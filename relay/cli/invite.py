"""The commands `doorward-relay invite …`: one-time invitations of doorbells and people.

An officer's or an administrator's may go by mail as well. It is printed in every case.
"""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from relay.agency.addresses import check_colleague, read_address
from relay.agency.errors import OnboardingRefused
from relay.agency.register import RegisterDesk
from relay.base.clock import SystemClock
from relay.cli.register import clock_in
from relay.config import Config, load
from relay.custody.logs import LogEntries
from relay.errors import ConfigError, RelayError
from relay.fleet.ca import Authority
from relay.fleet.claims import new_claim
from relay.mail import Letter, MailUnavailable, SmtpMailer
from relay.people.invitations import invite_admin, invite_officer, invite_owner
from relay.store import agency_settings
from relay.store.cache_file import SavedFile
from relay.store.database import Database, Transaction
from relay.web.emails import PageLetters

EXIT_NOT_MAILED = 1


def add_invite_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `invite` to the relay's command line."""
    text = "make a one-time invitation for a doorbell, an owner, an officer or an administrator"
    parser = commands.add_parser("invite", help=text, description=text)
    parser.add_argument("whom", choices=("doorbell", "owner", "officer", "admin"))
    parser.add_argument("--out", type=Path, metavar="FILE", help="doorbell: write claim.json here")
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
        return asyncio.run(_invite_doorbell(config, options.out))
    if options.mail is not None:
        if options.whom not in ("officer", "admin"):
            raise ConfigError("--mail", options.mail, "an officer or an administrator to invite")
        if config.mail is None:
            expected = "a mail server in [mail] of relay.toml; without --mail it is only printed"
            raise ConfigError("--mail", options.mail, expected)
    return asyncio.run(_invite_person(config, options))


async def _invite_doorbell(config: Config, out: Path | None) -> int:
    authority = Authority.load(config.ca_key_path.read_bytes(), config.ca_path.read_bytes())
    if out is None:
        print(await _claim(config, authority), end="")
        return 0
    is_new = not out.exists()
    os.close(os.open(out, os.O_WRONLY | os.O_CREAT, 0o600))  # a claim that isn't written counts too
    try:
        text = await _claim(config, authority)
    except RelayError:
        if is_new:
            out.unlink()
        raise
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"{out}: put it on the doorbell's card. It works once.", file=sys.stderr)
    return 0


async def _claim(config: Config, authority: Authority) -> str:
    database = await Database.open(config.database)
    try:
        async with database.begin() as tx:
            claim = await new_claim(
                tx,
                relay_url=config.public_url,
                ca_sha256=authority.sha256,
                now_ms=SystemClock().wall_ms(),
            )
    finally:
        await database.close()
    return claim.encode().decode() + "\n"


async def _invite_person(config: Config, options: argparse.Namespace) -> int:
    database = await Database.open(config.database)
    now_ms, letters = clock_in(config).wall_ms(), PageLetters(config.public_url)
    letter: Letter | None = None
    try:
        async with database.begin() as tx:
            if options.whom == "owner":
                secret = await invite_owner(tx, now_ms, device=options.device)
                url = f"{config.owner_origin}/#/join?invitation={secret}"
            elif options.whom == "admin":
                address = None if options.mail is None else _address(options.mail)
                secret = await invite_admin(tx, now_ms)
                url = f"{config.public_url}/admin/join?invitation={secret}"
                letter = None if address is None else letters.admin_invitation(address, url)
            else:
                name = await _name_of(config, database, tx, options.agency)
                address = await _colleague(tx, options)
                secret = await invite_officer(tx, now_ms, agency=options.agency, email=address)
                url = f"{config.public_url}/agency/join?invitation={secret}"
                letter = None if address is None else letters.invitation(address, name, url)
    finally:
        await database.close()
    if options.json:
        print(json.dumps({"invitation": secret, "url": url}))
    else:
        print(f"One person, within 7 days: {url}")
    return 0 if letter is None else await _mail(config, letter)


async def _mail(config: Config, letter: Letter) -> int:
    assert config.mail is not None  # noqa: S101 - _invite has seen it
    try:
        await SmtpMailer(config.mail).send(letter)
    except (MailUnavailable, ConfigError) as error:
        words = f"it wasn't mailed ({error}): the link counts, so send it to {letter.to} yourself"
        print(f"doorward-relay: {words}", file=sys.stderr)
        return EXIT_NOT_MAILED
    print(f"It was mailed to {letter.to} too.", file=sys.stderr)
    return 0


def _address(text: str) -> str:
    try:
        return read_address(text)
    except OnboardingRefused as error:
        raise ConfigError("--mail", text, str(error)) from error


async def _colleague(tx: Transaction, options: argparse.Namespace) -> str | None:
    """Return an officer's address, at their agency's own domain if the relay knows it."""
    if options.mail is None:
        return None
    domain = (await agency_settings.find(tx, options.agency)).email_domain
    try:
        return (
            read_address(options.mail) if domain is None else check_colleague(options.mail, domain)
        )
    except OnboardingRefused as error:
        raise ConfigError("--mail", options.mail, str(error)) from error


async def _name_of(config: Config, database: Database, tx: Transaction, agency: str | None) -> str:
    """Return an agency's name, or raise ConfigError if the register doesn't know it."""
    if config.log is None:
        raise ConfigError("[log]", None, "a log (doorward-relay log init makes one)")
    desk = RegisterDesk(
        LogEntries(),
        database,
        origin=f"{config.log.name}/register",
        saved=SavedFile(config.saved_register_path),
    )
    known = (await desk.replayed(tx)).agreements.get(agency or "")
    if not known:
        expected = "an agency that the register knows (doorward-relay admin submit)"
        raise ConfigError("--agency", agency, expected)
    return known[-1].agreement.name
