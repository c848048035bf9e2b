"""A doorbell's `PublicRecord` around a register's follower, with the real parts beside it."""

from pathlib import Path

import httpx2

from firmware.decisions.request_intake import RequestIntake
from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.owners import OwnerStore
from firmware.store.database import Database
from firmware.store.household import HouseholdStore
from firmware.store.slots import SlotStore
from firmware.store.statements import StatementStore
from firmware.system.clock import Clock
from firmware.system.ownership import OWNERS_FILE, Ownership
from firmware.transparency.follower import RegisterFollower
from firmware.transparency.policy_file import Logs
from firmware.transparency.public_record import PublicRecord
from tests.fakes.log_town import CELL


class Owned:
    """Implements `Ownership`: somebody owns it, or nobody does."""

    def __init__(self, *, is_owned: bool) -> None:
        self._is_owned = is_owned

    def has_owner(self) -> bool:
        return self._is_owned


def followed_record(
    folder: Path,
    *,
    owners: Ownership,
    http: httpx2.AsyncClient,
    clock: Clock,
    logs: Logs,
    follower: RegisterFollower,
) -> PublicRecord:
    """Return the record of a doorbell whose data is in `folder`."""
    database = Database(folder / "library.sqlite3")
    store = SlotStore(database)
    requests = RequestIntake(
        cell=CELL,
        is_opted_in=True,
        clock=clock,
        register=follower,
        browsers=BrowserStore(folder / "browsers.json", OwnerStore(folder / OWNERS_FILE)),
        household=HouseholdStore(database),
        statements=StatementStore(database),
        slots=store,
    )
    return PublicRecord(
        owners=owners, store=store, requests=requests, http=http, logs=logs, follower=follower
    )
