"""Chain of custody: a package's steps at the relay, each with its entry in the public log.

    arrived ─► downloaded, by whom ─► the owner asked for its deletion ─► answered ─► erased here

It is told to the package's own agency. What an owner does shows at the end of its batch (R9), as in
the log: an erasure once it has its place there, a wish for deletion once it counts as asked. What
was erased before anybody fetched it is told to nobody.
"""

from dataclasses import dataclass
from typing import Literal

from firmware.protocol.custody import DeletionAnswer
from firmware.protocol.encoding import decode
from relay.base.clock import Clock
from relay.custody.entries import answered_key
from relay.request.batches import shown_ms
from relay.store import chains, custody, logs, packages
from relay.store.chains import PlacedEntry
from relay.store.custody import Deletion
from relay.store.database import Database, Transaction
from relay.store.packages import Package

StepKind = Literal["arrived", "downloaded", "deletion_asked", "deleted", "kept", "erased"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; `what` is a name or a reason in the parties' own words.

    `entry` is the index of its published entry in the custody log.
    """

    kind: StepKind
    at_ms: int
    what: str = ""
    entry: int | None = None
    is_logged: bool = True
    """Whether this kind of thing has an entry of its own in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One package's steps, in order."""

    package: Package
    steps: tuple[Step, ...]
    deletion: Deletion | None
    answer: DeletionAnswer | None
    is_erased: bool

    @property
    def is_downloaded(self) -> bool:
        """Whether an officer has fetched it."""
        return any(step.kind == "downloaded" for step in self.steps)


class Chains:
    """Reads chains of custody."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(
        self, agency: str, package_id: str, *, batch_ms: int, is_shown: bool
    ) -> Chain | None:
        """Return the chain of a package of this agency's.

        Of one that the agency doesn't see now, only if it had it, and it was erased since.
        """
        async with self._database.read() as tx:
            package = await packages.find_package(tx, package_id)
            if package is None or package.agency != agency:
                return None
            steps = await _downloads(tx, package_id)
            erased = await chains.find_placed(tx, "custody", f"erased:{package_id}")
            is_erased = package.state == "erased" and erased is not None
            if not is_shown and not (steps and is_erased):
                return None
            arrived_ms = shown_ms(package.at_ms, batch_ms)
            steps.insert(0, Step(kind="arrived", at_ms=arrived_ms, is_logged=False))
            deletion = await custody.find_deletion(tx, package_id)
            if deletion is not None and deletion.asked_ms > self._clock.wall_ms():
                deletion = None
            if deletion is not None:
                steps += await _deletion(tx, deletion)
            if package.state == "erased" and erased is not None:
                entry = await _published(tx, erased)
                steps.append(Step(kind="erased", at_ms=erased.not_before_ms, entry=entry))
        return Chain(
            package=package,
            steps=tuple(sorted(steps, key=lambda step: step.at_ms)),
            deletion=deletion,
            answer=_answer(deletion),
            is_erased=is_erased,
        )

    async def list_downloaded(self, agency: str) -> dict[str, int]:
        """Return the packages that the agency's officers have fetched, with the first time."""
        async with self._database.read() as tx:
            return await chains.list_downloaded(tx, agency)

    async def find_entry(self, key: str) -> int | None:
        """Return the index of the custody log's entry of a key; None until it is published."""
        async with self._database.read() as tx:
            return await _entry(tx, key)


def answers_of(deletions: list[Deletion]) -> dict[str, DeletionAnswer]:
    """Return the agencies' answers, by package."""
    pairs = ((one.package_id, _answer(one)) for one in deletions)
    return {package_id: answer for package_id, answer in pairs if answer is not None}


async def _downloads(tx: Transaction, package_id: str) -> list[Step]:
    return [
        Step(
            kind="downloaded",
            at_ms=row.at_ms,
            what=row.officer,
            entry=await _entry(tx, f"download:{row.id}"),
        )
        for row in await chains.list_downloads(tx, package_id)
    ]


async def _deletion(tx: Transaction, deletion: Deletion) -> list[Step]:
    package_id = deletion.package_id
    asked = Step(
        kind="deletion_asked",
        at_ms=deletion.asked_ms,
        entry=await _entry(tx, f"deletion:{package_id}"),
    )
    answer = _answer(deletion)
    if answer is None:
        return [asked]
    answered = Step(
        kind=answer.answer,
        at_ms=max(answer.answered_ms, deletion.asked_ms),
        what=answer.reason,
        entry=None if deletion.answer is None else await _entry(tx, answered_key(deletion.answer)),
    )
    return [asked, answered]


def _answer(deletion: Deletion | None) -> DeletionAnswer | None:
    if deletion is None or deletion.answer is None:
        return None
    return decode(DeletionAnswer, deletion.answer.answer.encode())


async def _entry(tx: Transaction, key: str) -> int | None:
    found = await chains.find_placed(tx, "custody", key)
    return None if found is None else await _published(tx, found)


async def _published(tx: Transaction, entry: PlacedEntry) -> int | None:
    """Return an entry's index; None until everybody can read it."""
    size = (await logs.get_head(tx, "custody")).published_size
    return entry.index if entry.index < size else None
