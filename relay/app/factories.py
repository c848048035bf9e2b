"""Factories of the relay's main parts from its settings: fleet, public record and evidence.

Which of them runs, and what hears of what, is app.py.
"""

import logging
from dataclasses import dataclass

from msgspec.structs import replace

from relay.agency.agencies import Agencies
from relay.agency.onboarding import Onboarding
from relay.agency.register import NoLog, RelayRegister
from relay.agency.reminders import Reminders
from relay.base.clock import Clock
from relay.bus import Bus
from relay.config.settings import Config
from relay.custody.entries import NoRecord, Record
from relay.custody.service import CustodyService, open_custody
from relay.evidence.deletions import Deletions
from relay.evidence.delivery import Delivery
from relay.evidence.sweeper import PackageSweeper
from relay.fleet.broker import bus_of
from relay.fleet.broker_keys import BrokerKeys
from relay.fleet.ca import Authority
from relay.fleet.callout import Callout
from relay.fleet.commands import Commands
from relay.fleet.enrolment import EnrolmentService
from relay.fleet.members import Members
from relay.fleet.partitions import Partitions
from relay.fleet.renewal import RenewalService
from relay.fleet.replacement import ReplacementService
from relay.fleet.revocation import Revocations
from relay.fleet.signal_carrier import SignalCarrier
from relay.mail import SmtpMailer
from relay.notify.hub import Hub
from relay.request.outcomes import Outcomes
from relay.request.publisher import Publisher
from relay.request.service import RequestService
from relay.store.cache_file import CacheFile
from relay.store.database import Database
from relay.store.objects import ObjectStore
from relay.web.emails import TranslatedEmails

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The broker, and the services that exchange messages with doorbells."""

    bus: Bus
    members: Members
    partitions: Partitions
    signals: SignalCarrier
    revocations: Revocations
    callout: Callout
    commands: Commands
    enrolling: EnrolmentService
    renewals: RenewalService
    replacements: ReplacementService


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """The logs, the agencies in them, and officers' requests."""

    custody: CustodyService | None
    record: Record
    register: RelayRegister
    agencies: Agencies
    onboarding: Onboarding
    reminders: Reminders | None
    request_service: RequestService
    publishing: Publisher
    outcomes: Outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The bucket, and the sealed packages in it."""

    objects: ObjectStore
    delivery: Delivery
    deletions: Deletions
    sweeping: PackageSweeper


def open_fleet(config: Config, database: Database, clock: Clock, *, machine: Clock) -> Fleet:
    """Build the fleet's services; the broker goes by `machine`, the machine's own time."""
    keys = BrokerKeys.load(config.broker_keys_path)
    authority = Authority.load(config.ca_key_path.read_bytes(), config.ca_path.read_bytes())
    bus = bus_of(config)
    members = Members(bus, config.roles)
    partitions = Partitions(members, database)
    revocations = Revocations(bus=bus, database=database, clock=machine)
    callout = Callout(
        authority=authority,
        issuer_seed=keys.issuer_seed,
        clock=machine,
        is_revoked=revocations.is_revoked,
    )
    return Fleet(
        bus=bus,
        members=members,
        partitions=partitions,
        signals=SignalCarrier(bus, database.signals),
        revocations=revocations,
        callout=callout,
        commands=Commands(bus=bus, database=database, clock=clock, partitions=partitions),
        enrolling=EnrolmentService(
            database=database,
            authority=authority,
            config=config,
            clock=machine,
            announce_revocation=bus.announce_revocation,
        ),
        replacements=ReplacementService(
            database=database,
            relay_url=config.public_url,
            ca_sha256=authority.sha256,
            clock=machine,
        ),
        renewals=RenewalService(database=database, authority=authority, clock=machine),
    )


def open_portal(
    config: Config, database: Database, clock: Clock, *, fleet: Fleet, hub: Hub
) -> Portal:
    """Build the logs, if the operator keeps some, and the services over them."""
    custody = _open_custody(config, database, fleet, clock)
    record = NoRecord() if custody is None else custody.record
    register = RelayRegister(
        NoLog() if custody is None else custody.logs,
        database,
        clock,
        origin="none/register" if config.log is None else f"{config.log.name}/register",
        saved=CacheFile(config.saved_register_path),
    )
    agencies = Agencies(register, database, clock)
    return Portal(
        custody=custody,
        record=record,
        register=register,
        agencies=agencies,
        onboarding=_open_onboarding(config, database, clock, register),
        reminders=_open_reminders(config, database, clock, agencies),
        request_service=RequestService(database, clock, register),
        publishing=Publisher(database, clock, register, hub),
        outcomes=Outcomes(database, clock, register, record),
    )


def open_evidence(
    config: Config,
    database: Database,
    clock: Clock,
    *,
    machine: Clock,
    commands: Commands,
    portal: Portal,
) -> Evidence:
    """Build the services that receive, deliver and erase packages."""
    objects = ObjectStore(config.bucket)
    delivery = Delivery(
        database, clock, objects, commands, record=portal.record, agreements=portal.agencies
    )
    return Evidence(
        objects=objects,
        delivery=delivery,
        deletions=Deletions(database, clock, portal.record, portal.agencies),
        sweeping=PackageSweeper(
            database=database, clock=clock, objects=objects, delivery=delivery, machine=machine
        ),
    )


def _open_custody(
    config: Config, database: Database, fleet: Fleet, clock: Clock
) -> CustodyService | None:
    if config.log is None:
        log.warning("there is no [log] in relay.toml: nothing is logged, so nothing is released")
        return None
    bucket = ObjectStore(replace(config.bucket, name=config.log.bucket))
    return open_custody(
        config.log,
        bucket=bucket,
        database=database,
        commands=fleet.commands,
        clock=clock,
        members=fleet.members,
        saved_stamps=CacheFile(config.saved_stamps_path),
    )


def _open_onboarding(
    config: Config, database: Database, clock: Clock, register: RelayRegister
) -> Onboarding:
    mail = config.mail
    return Onboarding(
        database,
        clock,
        register,
        letters=TranslatedEmails(config.public_url),
        mailer=None if mail is None else SmtpMailer(mail),
        official_domains=() if mail is None else mail.official_domains,
    )


def _open_reminders(
    config: Config, database: Database, clock: Clock, agencies: Agencies
) -> Reminders | None:
    if config.mail is None:
        return None
    letters, mailer = TranslatedEmails(config.public_url), SmtpMailer(config.mail)
    return Reminders(database, clock, agencies, letters=letters, mailer=mailer)
