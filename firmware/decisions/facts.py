"""Fact collector: reads from the stores, at one moment, all facts that consent judges by.

Nothing is judged here. Without a policy of its own (config `[log] policy`) a doorbell believes no
log: then nothing of the register is known, and no grant can hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from firmware.consent.facts import (
    ApproverFact,
    BrowserFact,
    Facts,
    HouseholdFacts,
)
from firmware.decisions.clip_facts import ClipFactCollector
from firmware.decisions.holds import read_holding
from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.newcomers import Newcomers, Opened
from firmware.enrolment.owners import OwnerStore
from firmware.protocol.decisions import FileSettings, MaskPolygon
from firmware.protocol.grants import Terms, newcomer_in
from firmware.protocol.register.facts import RegisterFacts
from firmware.protocol.setting_changes import value
from firmware.protocol.tlog.policy import Policy
from firmware.store.household import HouseholdStore
from firmware.store.statements import StatementStore
from firmware.system.clock import Clock

NOBODY = Policy(logs=(), witnesses=(), groups=(), quorum="")
"""Believes no log."""


class OwnIdentity(Protocol):
    """The doorbell's own identity (`firmware.enrolment.cloned_identity.ClonedIdentity`)."""

    @property
    def device(self) -> str:
        """The device id."""
        ...

    @property
    def is_cloned(self) -> bool:
        """Whether another device uses a copy of it."""
        ...


class FileValues(Protocol):
    """The doorbell's own file (`firmware.app.owner_settings.DoorbellSettings`)."""

    @property
    def file(self) -> FileSettings:
        """What it says, for the owners."""
        ...

    @property
    def file_zones(self) -> list[MaskPolygon]:
        """Its motion zones."""
        ...


class FollowedRecord(Protocol):
    """The public logs that this doorbell follows (`firmware.transparency.public_record`)."""

    @property
    def policy(self) -> Policy | None:
        """The policy of logs and witnesses that the doorbell trusts; None: it trusts no log."""
        ...

    @property
    def custody_origin(self) -> str:
        """The name of the custody log."""
        ...

    def facts(self) -> RegisterFacts:
        """Return the register's facts for the rules."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A statement that goes on after a crash: neither spent, nor its newcomer unknown by that."""

    digest: str
    terms: Terms


class FactCollector:
    """Collects one doorbell's facts. Its method reads storage: not on the loop."""

    def __init__(
        self,
        *,
        identity: OwnIdentity,
        file: FileValues,
        clock: Clock,
        record: FollowedRecord,
        owners: OwnerStore,
        browsers: BrowserStore,
        newcomers: Newcomers,
        statements: StatementStore,
        household: HouseholdStore,
        clips: ClipFactCollector,
    ) -> None:
        self._identity = identity
        self._file = file
        self._clock = clock
        self._record = record
        self._owners = owners
        self._browsers = browsers
        self._newcomers = newcomers
        self._statements = statements
        self._household = household
        self._clips = clips

    def batch_ms(self) -> int:
        """Return the length of a batch (R9) by the register, or by the rules before it is read."""
        return self._record.facts().delays.batch_ms

    def facts(self, *, resumed: Resumed | None = None) -> Facts:
        """Return the facts; of a statement that is resumed, those that it was begun with."""
        decided, now_ms = self._decided(), self._clock.wall_ms()
        holding = read_holding(self._household, self._statements, now_ms)
        return Facts(
            device=self._identity.device,
            cell=str(value(decided.settings, decided.file, "cell")),
            now_ms=now_ms,
            is_clock_trusted=self._clock.is_trusted(),
            is_card_cloned=self._identity.is_cloned,
            owners=self._owners.owners,
            register=self._record.facts(),
            policy=self._record.policy or NOBODY,
            custody_origin=self._record.custody_origin,
            clips=self._clips.shown(holding),
            deleted_clips=self._clips.deleted(holding),
            max_kept_bytes=self._clips.max_kept_bytes,
            spent=self._statements.spent() - {None if resumed is None else resumed.digest},
            browsers={
                browser.keys.id: BrowserFact(
                    credential_id=browser.credential_id, keys=browser.keys, right=browser.right
                )
                for browser in self._browsers.all()
            },
            newcomers={
                **{commitment: one.keys for commitment, one in self._opened().items()},
                **({} if resumed is None else newcomer_in(resumed.terms)),
            },
            household=decided,
        )

    def _opened(self) -> Mapping[str, Opened]:
        return self._newcomers.opened(self._clock.monotonic_ns() // 1_000_000)

    def _decided(self) -> HouseholdFacts:
        household = self._household
        return HouseholdFacts(
            settings=household.settings(),
            file=self._file.file,
            file_zones=self._file.file_zones,
            refused_agencies=household.refused_agencies(),
            approvers={
                key_id: ApproverFact(
                    credential_id=approver.credential_id, name=approver.name, key=approver.key
                )
                for key_id, approver in household.approvers().items()
            },
            holds=frozenset(hold.digest for hold in household.holds()),
            revoked=household.revoked(),
            waiting={
                one.digest: one.statement.assertion.credential_id
                for one in self._statements.waiting(self._clock.wall_ms())
            },
        )
