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

    async def answer(self, package_id: str, signed: SignedDeletionAnswer) -> None:
        """Log an answer by the key of the package's agency, or raise LogError."""
        async with self._database.read() as tx:
            package = await packages.find_package(tx, package_id)
        agency = None if package is None else await self._agencies.find(package.agency)
        if package is None or agency is None:
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
