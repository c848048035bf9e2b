"""Progress of confirmed releases: in the log, sealed, sent. Nothing is decided here."""

from firmware.decisions.request_intake import Register
from firmware.errors import PackageDamaged, PackageOfAnotherVersion, TicketRefused
from firmware.local_page.presenter import agency_name
from firmware.local_page.views import ReleaseProgress, Stage
from firmware.outbox.outgoing import Outgoing
from firmware.protocol.batches import release_end_ms
from firmware.protocol.encoding import decode
from firmware.protocol.grants import GrantTerms, Statement
from firmware.protocol.releases import package_id_of
from firmware.store.household import HouseholdStore
from firmware.store.statements import StatementStore, WaitingStatement


class ReleaseTracker:
    """Reads the progress of one doorbell's releases from storage: not on the loop."""

    def __init__(
        self,
        *,
        statements: StatementStore,
        household: HouseholdStore,
        outgoing: Outgoing,
        register: Register,
    ) -> None:
        self._statements = statements
        self._household = household
        self._outgoing = outgoing
        self._register = register

    def under_way(self) -> list[ReleaseProgress]:
        """Return the grants that were confirmed and aren't sealed yet, oldest first."""
        confirmed = self._statements.statements_in("confirmed")
        return [found for one in confirmed if (found := self._told(one)) is not None]

    def of(self, digest: str) -> ReleaseProgress | None:
        """Return how far one grant has come; None if none of this digest was confirmed."""
        statement = self._statements.statement(digest)
        return None if statement is None else self._told(statement)

    def _told(self, statement: WaitingStatement) -> ReleaseProgress | None:
        told = decode(Statement, statement.statement.statement.encode())
        if statement.confirmed is None or not isinstance(told.terms, GrantTerms):
            return None
        return ReleaseProgress(
            digest=statement.digest,
            agency=agency_name(told.terms.recipient.agency, self._register.facts()),
            stage=self._stage(statement),
            confirmed_ms=statement.confirmed.confirmed_ms,
            goes_ms=release_end_ms(
                statement.confirmed.confirmed_ms, self._register.facts().delays.batch_ms
            ),
            not_after_ms=told.not_after_ms,
        )

    def _stage(self, statement: WaitingStatement) -> Stage:
        if statement.digest in self._household.revoked():
            return "taken_back"
        if statement.state == "confirmed":
            if statement.release is None:
                return "held"
            return "logging" if statement.release_proof is None else "sealing"
        if statement.state != "done":
            return "failed"
        package_id = package_id_of(statement.digest)
        if self._outgoing.is_uploaded(package_id):
            return "sent"
        try:
            self._outgoing.announced(package_id)
        except TicketRefused:
            # Deleted here: the relay refused it, or it has arrived whole.
            was_refused = self._household.was_told_refused(statement.digest)
            return "not_taken" if was_refused else "sent"
        except PackageDamaged:
            return "damaged"
        except PackageOfAnotherVersion:
            pass  # it waits
        return "sending"
