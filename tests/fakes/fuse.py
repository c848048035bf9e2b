"""A power cut before or after any durable step, by the number of the step; or a card that fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from firmware.enrolment.browsers import Browsers, BrowserStore
from firmware.enrolment.door_number import DoorFile, DoorNumber
from firmware.enrolment.owners import OwnerStore
from firmware.outbox.outgoing import Outgoing
from firmware.protocol.events import Event, EventBody, PackageReady
from firmware.store.database import Connection, Database
from firmware.store.household import HouseholdStore
from firmware.store.statements import StatementStore
from firmware.system.clock import MonotonicClock
from tests.fakes.events import OnPublish, PublishedEvents
from tests.fakes.intake import PowerCut

STEPS = ("confirm", "commit_to", "set_proof", "spend", "put", "finish", "tell")
"""Everything of a release that outlasts a power cut; `tell` is the outbox."""


class Fuse:
    """Counts durable steps, and cuts the power before or after the one that it was set for.

    Or lets the card fail there, or from there on; not in telling, which the outbox does in the end.
    """

    def __init__(self) -> None:
        self.steps: list[str] = []
        self._at: int | None = None
        self._is_after = False
        self._card: Literal["", "once", "for good"] = ""

    def set(
        self,
        at: int | None,
        *,
        is_after: bool = False,
        card: Literal["", "once", "for good"] = "",
    ) -> None:
        self.steps, self._at, self._is_after, self._card = [], at, is_after, card

    def begin(self, step: str) -> None:
        self.steps.append(step)
        if self._card and step != "tell" and self._has_come():
            raise OSError(5, f"input/output error at {step}")
        if not self._card and not self._is_after and self._has_come():
            raise PowerCut(step)

    def _has_come(self) -> bool:
        if self._at is None:
            return False
        number = len(self.steps) - 1
        return number == self._at or (self._card == "for good" and number > self._at)

    def end(self) -> None:
        if self._is_after and self._has_come():
            raise PowerCut(self.steps[-1])


class FusedEvents(PublishedEvents):
    """The way of events to the relay, over the same power: publishing is the step `tell`."""

    def __init__(self, fuse: Fuse, on_publish: OnPublish) -> None:
        super().__init__(on_publish)
        self._fuse = fuse

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        self._fuse.begin("tell")
        event = await super().publish(body, event_id=event_id)
        self._fuse.end()
        return event


class FusedStore:
    """The real store, behind the fuse where it writes."""

    def __init__(self, store: StatementStore, fuse: Fuse) -> None:
        self._store = store
        self._fuse = fuse

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)
        if name not in STEPS:
            return method

        def fused(*values: Any, **named: Any) -> Any:
            self._fuse.begin(name)
            answer = method(*values, **named)
            self._fuse.end()
            return answer

        return fused


class FusedOutgoing(Outgoing):
    """The real folder of packages, behind the fuse; and what was ever kept there."""

    def __init__(self, folder: Path, fuse: Fuse) -> None:
        super().__init__(folder)
        self._fuse = fuse

    def put(self, **package: Any) -> PackageReady:  # type: ignore[override]
        self._fuse.begin("put")
        ready = super().put(**package)
        self._fuse.end()
        return ready

    def discard(self, package_id: str) -> None:
        self._fuse.begin("discard")
        super().discard(package_id)
        self._fuse.end()


class FusedHousehold(HouseholdStore):
    """What owners decided, behind the fuse where a grant is taken back."""

    def __init__(self, database: Database, fuse: Fuse) -> None:
        super().__init__(database)
        self._fuse = fuse

    def revoke(self, grant_digest: str, now_ms: int) -> None:
        self._fuse.begin("revoke")
        super().revoke(grant_digest, now_ms)
        self._fuse.end()


class FusedDatabase(Database):
    """The real database, behind the fuse at each commit."""

    def __init__(self, path: Path, fuse: Fuse) -> None:
        super().__init__(path)
        self.fuse: Fuse | None = fuse

    @contextmanager
    def write(self) -> Iterator[Connection]:
        fuse: Fuse | None = getattr(self, "fuse", None)
        if fuse is None:  # the schema
            with super().write() as connection:
                yield connection
            return
        fuse.begin("commit")
        with super().write() as connection:
            yield connection
        fuse.end()


class FusedOwners(OwnerStore):
    """The real file of owners, behind the fuse where it is written."""

    def __init__(self, path: Path, fuse: Fuse) -> None:
        super().__init__(path)
        self._fuse = fuse

    def add(self, owner: Any) -> None:
        self._fuse.begin("owners")
        super().add(owner)
        self._fuse.end()

    def remove(self, credential_id: str) -> None:
        self._fuse.begin("owners")
        super().remove(credential_id)
        self._fuse.end()


class FusedBrowsers(BrowserStore):
    """The real file of browsers, likewise."""

    def __init__(self, path: Path, owners: OwnerStore, fuse: Fuse) -> None:
        super().__init__(path, owners)
        self._fuse = fuse

    def _write(self, browsers: Browsers) -> None:
        self._fuse.begin("browsers")
        super()._write(browsers)
        self._fuse.end()


class FusedDoorNumber(DoorNumber):
    """The real file of the door number, likewise."""

    def __init__(self, path: Path, *, clock: MonotonicClock, fuse: Fuse) -> None:
        super().__init__(path, clock=clock)
        self._fuse = fuse

    def put(self, file: DoorFile) -> None:
        self._fuse.begin("door number")
        super().put(file)
        self._fuse.end()
