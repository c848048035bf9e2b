"""The commands `doorward-relay invite owner | officer | admin`: one-time invitations of people.

An officer's or an administrator's may go by mail as well; only then is the mail client imported.
"""

import argparse
import json
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from relay.agency.addresses import check_colleague, read_address
from relay.agency.errors import OnboardingRefused
from relay.agency.register import RegisterService
from relay.cli.register import clock_in
from relay.config.settings import Config
from relay.custody.log_entries import LogEntries
from relay.errors import ConfigError
from relay.people.invitations import invite_admin, invite_officer, invite_owner
from relay.store import agency_settings
from relay.store.cache_file import CacheFile
from relay.store.database import Database, Transaction

if TYPE_CHECKING:
    from relay.mail import Email
    from relay.web.emails import TranslatedEmails

EXIT_NOT_MAILED = 1


async def invite_person(config: Config, options: argparse.Namespace) -> int:
    """Print an invitation, mail it too if `options.mail` is given; return the exit code."""
    database = await Database.open(config.database)
    now_ms = clock_in(config).wall_ms()
    letter: Email | None = None
    try:
        async with database.begin() as tx:
            if options.whom == "owner":
                secret = await invite_owner(tx, now_ms, device=options.device)
                url = _join_link(config, secret)
            elif options.whom == "admin":
                address = None if options.mail is None else _address(options.mail)
                secret = await invite_admin(tx, now_ms)
                url = f"{config.public_url}/admin/join?invitation={secret}"
                if address is not None:
                    letter = _letters(config).admin_invitation(address, url)
            else:
                name = await _name_of(config, database, tx, options.agency)
                address = await _colleague(tx, options)
                secret = await invite_officer(tx, now_ms, agency=options.agency, email=address)
                url = f"{config.public_url}/agency/join?invitation={secret}"
                if address is not None:
                    letter = _letters(config).invitation(address, name, url)
    finally:
        await database.close()
    if options.json:
        print(json.dumps({"invitation": secret, "url": url}))
    else:
        print(f"One person, within 7 days: {url}")
    return 0 if letter is None else await _mail(config, letter)


def _join_link(config: Config, secret: str) -> str:
    """Return an owner's link; a shard's names its relay, since the app may be at another one."""
    link = f"{config.owner_origin}/#/join?invitation={secret}"
    if config.shards is None:
        return link
    return f"{link}&{urlencode({'relay': config.public_url})}"


def _letters(config: Config) -> "TranslatedEmails":
    from relay.web.emails import TranslatedEmails

    return TranslatedEmails(config.public_url)


async def _mail(config: Config, letter: "Email") -> int:
    from relay.mail import MailUnavailable, SmtpMailer

    assert config.mail is not None  # noqa: S101 - the command's options were checked
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
    desk = RegisterService(
        LogEntries(),
        database,
        origin=f"{config.log.name}/register",
        saved=CacheFile(config.saved_register_path),
    )
    known = (await desk.replayed(tx)).agreements.get(agency or "")
    if not known:
        expected = "an agency that the register knows (doorward-relay admin submit)"
        raise ConfigError("--agency", agency, expected)
    return known[-1].agreement.name
