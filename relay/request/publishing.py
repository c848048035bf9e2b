"""Publishing: check, store, and tell every enrolled doorbell and every listening owner.

The request and the commands that carry it are committed together, so a crash loses none. The
same request twice is the same answer.
"""

from typing import Protocol

from firmware.protocol.commands import Command, RequestPublished
from firmware.protocol.encoding import sha256_hex
from firmware.protocol.requests import SignedRequest
from relay.clock import Clock
from relay.people.ceremonies import passkey_of
from relay.request.rules import (
    PublicationFacts,
    RequestRefused,
    check_limits,
    check_publication,
    parse_request,
)
from relay.store import fleet, people, requests
from relay.store.database import Database, Transaction
from relay.store.people import Account
from relay.store.requests import PublishedRequest


class Commands(Protocol):
    """What publishing needs of the way down to doorbells."""

    async def add(
        self, tx: Transaction, device: str, body: RequestPublished, expires_ms: int
    ) -> Command:
        """Keep a command as part of a transaction."""
        ...

    def dispatch(self, command: Command) -> None:
        """Publish a kept command, and repeat it until it is answered."""
        ...


class Notices(Protocol):
    """What publishing needs of the hub that owners' apps listen to."""

    def request_published(self, request_id: str) -> None:
        """Tell every listening app."""
        ...


class Publishing:
    """The desk where officers' requests are handed in and read."""

    def __init__(
        self, database: Database, clock: Clock, commands: Commands, notices: Notices
    ) -> None:
        self._database = database
        self._clock = clock
        self._commands = commands
        self._notices = notices

    async def publish(self, officer: Account, signed: SignedRequest) -> str:
        """Publish a request and return its id, or raise RequestRefused."""
        request = parse_request(signed)
        async with self._database.begin() as tx:
            before = await requests.find_request(tx, request.id, self._clock.wall_ms())
            if before is not None:
                if before.account_id != officer.id or before.signed.request != signed.request:
                    raise RequestRefused("id_taken", "another request has this id; make a new one")
                return before.id
            await self._store(tx, officer, signed)
            told = [
                await self._commands.add(
                    tx, doorbell.device, RequestPublished(signed=signed), request.expires_ms
                )
                for doorbell in await fleet.list_active(tx)
            ]
        for command in told:
            self._commands.dispatch(command)
        self._notices.request_published(request.id)
        return request.id

    async def catch_up(self, device: str) -> None:
        """Tell a doorbell that has just enrolled of every request that still stands."""
        async with self._database.begin() as tx:
            now_ms = self._clock.wall_ms()
            told = [
                await self._commands.add(
                    tx, device, RequestPublished(signed=row.signed), row.request.expires_ms
                )
                for row in await requests.list_requests(tx, now_ms)
                if row.state == "open"
            ]
        for command in told:
            self._commands.dispatch(command)

    async def find(self, request_id: str) -> PublishedRequest | None:
        """Return one published request."""
        async with self._database.read() as tx:
            return await requests.find_request(tx, request_id, self._clock.wall_ms())

    async def list(self, *, agency: str | None = None) -> list[PublishedRequest]:
        """Return the newest requests, of one agency or of all."""
        async with self._database.read() as tx:
            return await requests.list_requests(tx, self._clock.wall_ms(), agency=agency)

    async def _store(self, tx: Transaction, officer: Account, signed: SignedRequest) -> None:
        now_ms = self._clock.wall_ms()
        agency = await requests.find_agency(tx, officer.agency or "")
        if agency is None:
            raise RequestRefused("agency", "this relay doesn't know your agency")
        passkeys = [passkey_of(row) for row in await people.list_credentials(tx, officer.id)]
        facts = PublicationFacts(
            agency=agency, officer_id=officer.id, passkeys=passkeys, now_ms=now_ms
        )
        request = check_publication(signed, facts)
        check_limits(
            open_count=await requests.count_open(tx, officer.id, now_ms),
            case_count=await requests.count_for_case(tx, agency.id, request.case_number),
        )
        await requests.add_request(
            tx,
            signed,
            request,
            account_id=officer.id,
            digest=sha256_hex(signed.request.encode()),
            now_ms=now_ms,
        )
