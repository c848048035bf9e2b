"""The public logs, put together: the register's follower, the requests' desk, and the slots."""

import logging

from firmware.app.household import Household
from firmware.app.link import RelayWay
from firmware.app.site import Site
from firmware.config.settings import Config
from firmware.decisions.request_intake import Register, RequestIntake
from firmware.enrolment.pairing import FollowedRegister
from firmware.enrolment.shard_policy import policy_in_force
from firmware.notes.emergency_pushes import EmergencyPushes
from firmware.protocol.encoding import sha256_hex
from firmware.store.database import Database
from firmware.store.household import HouseholdStore
from firmware.store.slots import SlotStore
from firmware.store.statements import StatementStore
from firmware.transparency.follower import RegisterFollower
from firmware.transparency.log_source import LogSource
from firmware.transparency.policy_file import load_logs_if_any
from firmware.transparency.public_record import NoRegister, PublicRecord
from firmware.transparency.slots import SlotAnswers, Slots

log = logging.getLogger(__name__)


def followed_register(config: Config) -> FollowedRegister:
    """Return the policy and the register's origin as pairing names them; StoreError."""
    policy_path = policy_in_force(config)
    logs = load_logs_if_any(policy_path)
    if logs is None:
        return FollowedRegister()
    digest = sha256_hex(policy_path.read_bytes())
    return FollowedRegister(policy_digest=digest, origin=logs.register_origin)


def open_record(
    site: Site, *, database: Database, household: Household, relay: RelayWay
) -> PublicRecord:
    """Open both public logs: what is read of them, and what this doorbell writes into them."""
    record = _open(site, database=database, household=household, relay=relay)
    relay.shard_move.succeed(record)
    return record


def _open(site: Site, *, database: Database, household: Household, relay: RelayWay) -> PublicRecord:
    logs = load_logs_if_any(policy_in_force(site.config))
    store = SlotStore(database)
    if logs is None:
        log.warning("no policy of a public log is on the card: nothing can be released")
        requests = _requests(site, NoRegister(), database, household, store)
        return PublicRecord(owners=household, store=store, requests=requests, http=site.http)
    follower = RegisterFollower(
        folder=site.config.data_dir / "register",
        logs=logs,
        source=LogSource(site.http, site.enrolment.log_url, "register"),
        clock=site.clock,
        signer=site.keys.signer,
        chance=site.source,
    )
    follower.witnessed.add(site.clock.note_witnessed)
    requests = _requests(site, follower, database, household, store)
    slots = Slots(
        clock=site.clock,
        register=follower,
        desk=requests,
        notes=household.notes,
        emergencies=EmergencyPushes(
            device=site.keys.device,
            browsers=household.browsers,
            clock=site.clock,
            events=relay.events,
        ),
        store=store,
        outbox=relay.outbox,
        events=relay.events,
        chance=site.source,
    )
    return PublicRecord(
        owners=household,
        store=store,
        requests=requests,
        http=site.http,
        logs=logs,
        follower=follower,
        slots=slots,
        answers=SlotAnswers(logs=logs, store=store, clock=site.clock),
    )


def _requests(
    site: Site, register: Register, database: Database, household: Household, store: SlotStore
) -> RequestIntake:
    return RequestIntake(
        cell=site.config.place.cell,
        is_opted_in=site.config.place.is_opted_in,
        clock=site.clock,
        register=register,
        browsers=household.browsers,
        household=HouseholdStore(database),
        statements=StatementStore(database),
        slots=store,
    )
