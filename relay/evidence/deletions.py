"""Owners' deletion requests to agencies (R14), and the agencies' answers.

An answer needs no login: it is signed by the agency's own key, and goes into the public log.
"""

from firmware.protocol.custody import SignedDeletionAnswer
from firmware.protocol.encoding import unb64u
from relay.agency.agencies import Agencies
from relay.base.clock import Clock
from relay.custody.entries import CustodyEntries
from relay.custody.errors import LogError
from relay.store import custody, packages
from relay.store.custody import Deletion
from relay.store.database import Database


class DeletionUnknown(LogError):
    """There is no deletion request for this package."""


class Deletions:
    """Lists deletion requests and logs agencies' answers.

    Both from the end of the batch in which an owner asked (R9), as the log does.
    """

    def __init__(
        self, database: Database, clock: Clock, happenings: CustodyEntries, agencies: Agencies
    ) -> None:
        self._database = database
        self._clock = clock
        self._happenings = happenings
        self._agencies = agencies

    async def list(self, agency: str) -> list[Deletion]:
        """Return the deletion requests to an agency, the most urgent first."""
        async with self._database.read() as tx:
            return await custody.list_deletions(tx, agency, asked_until_ms=self._clock.wall_ms())

    async def list_requests(self, agency: str) -> dict[str, str]:
        """Return the evidence request that each of an agency's packages answers, by package."""
        async with self._database.read() as tx:
            return await packages.list_requests(tx, agency)

    async def answer(self, package_id: str, signed: SignedDeletionAnswer) -> None:
        """Log an answer about a package by the key of its agency, or raise LogError."""
        async with self._database.read() as tx:
            package = await packages.find_package(tx, package_id)
        if package is None:
            raise DeletionUnknown("nobody asked for this package to be deleted")
        await self._log(package.agency, signed, package_id=package_id)

    async def answer_many(self, agency_id: str, signed: SignedDeletionAnswer) -> None:
        """Log an agency's answer about whatever packages it names, or raise LogError."""
        await self._log(agency_id, signed, package_id=None)

    async def _log(
        self, agency_id: str, signed: SignedDeletionAnswer, *, package_id: str | None
    ) -> None:
        agency = await self._agencies.find(agency_id)
        if agency is None:
            raise DeletionUnknown("nobody asked for this package to be deleted")
        async with self._database.begin() as tx:
            await self._happenings.deletion_answered(
                tx,
                signed,
                package_id=package_id,
                agency=agency.id,
                signing_key=unb64u(agency.agreement.signing_key),
                now_ms=self._clock.wall_ms(),
            )
