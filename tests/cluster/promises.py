"""What a cluster promises whatever is killed in it, checked once everything is over.

Each press is stored once and in order, and was told to its owner's open page once and in order;
each statement that was taken is answered; each push that was taken has been sent, perhaps twice;
each object that the store took is there; no doorbell waits for a receipt at the end.
"""

import asyncio
import time
from dataclasses import dataclass

from relay.store import events
from tests.cluster.people import Ringing, Town

SETTLES_S = 30.0
"""A command of a relay that died is handed over within ten seconds, and repeated within thirty."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What was found; `broken` says in words which promises weren't kept."""

    presses: int
    receipt_p50_s: float
    receipt_p99_s: float
    longest_s: float
    statements: int
    pushes: int
    objects: int
    pages_broke: int
    broken: tuple[str, ...]

    def __str__(self) -> str:
        found = (
            f"{self.presses} presses, receipt after {self.receipt_p50_s:.2f} s (median), "
            f"{self.receipt_p99_s:.2f} s (99 of 100), {self.longest_s:.1f} s (longest); "
            f"{self.statements} statements, {self.pushes} pushes, {self.objects} objects; "
            f"pages broke {self.pages_broke} times"
        )
        return "\n".join([found, *self.broken]) if self.broken else f"{found}; nothing lost"


async def check(town: Town) -> Kept:
    """Compare what was pressed with what is stored, shown and answered."""
    broken = [
        problem for one in town.ringing for problem in [await _stored_wrongly(town, one)] if problem
    ]
    broken += [problem for problem in _shown_wrongly(town) if problem]
    broken += town.unreceipted
    broken += await _unanswered(town)
    broken += await _unsent(town)
    lost = await town.keeping.lost()
    broken += [f"{len(lost)} of {len(town.keeping.kept)} objects are lost"] if lost else []
    took = sorted(value for one in town.ringing for value in one.took_s)
    if not took:
        broken.append("no press was receipted")
        took = [0.0]
    return Kept(
        presses=len(took),
        receipt_p50_s=took[len(took) // 2],
        receipt_p99_s=took[min(len(took) - 1, len(took) * 99 // 100)],
        longest_s=took[-1],
        statements=len(town.sent),
        pushes=sum(len(one.pushed) for one in town.ringing),
        objects=len(town.keeping.kept),
        pages_broke=sum(page.broke for page in town.pages),
        broken=tuple(broken),
    )


async def _stored_wrongly(town: Town, one: Ringing) -> str:
    device = one.doorbell.device
    async with town.database.read() as tx:
        rows = await events.newest(tx, [device], credential_ids=[], limit=100_000)
    stored = [row.event for row in sorted(rows, key=lambda row: row.relay_seq)]
    if stored == one.pressed:
        return ""
    lost = [event for event in one.pressed if event not in stored]
    return (
        f"{device}: {len(one.pressed)} presses, {len(stored)} stored, {len(lost)} lost, "
        f"in order: {[event.seq for event in stored] == sorted(event.seq for event in stored)}"
    )


def _shown_wrongly(town: Town) -> list[str]:
    owner_of = {device: page for page in town.pages for device in page.shown}
    problems = []
    for one in town.ringing:
        device = one.doorbell.device
        told = [event.id for event in one.pressed]
        shown = owner_of[device].shown[device] if device in owner_of else []
        if shown != told:
            missing = len(set(told) - set(shown))
            twice = len(shown) - len(set(shown))
            problems.append(
                f"{device}: of {len(told)} presses {missing} not shown, {twice} shown twice, "
                f"in order: {[one for one in shown if one in told] == told}"
            )
    return problems


async def _unanswered(town: Town) -> list[str]:
    end = time.monotonic() + SETTLES_S
    while waiting := await town.unanswered():
        if time.monotonic() > end:
            return [f"{len(waiting)} of {len(town.sent)} statements have no answer"]
        await asyncio.sleep(1)
    return []


async def _unsent(town: Town) -> list[str]:
    wanted = {message for one in town.ringing for message in one.pushed}
    end = time.monotonic() + SETTLES_S
    while missing := wanted - {sent.body for sent in town.cluster.push_service.sent}:
        if time.monotonic() > end:
            return [f"{len(missing)} of {len(wanted)} pushes weren't sent"]
        await asyncio.sleep(1)
    return []
