"""A relay that times a doorbell's answers to statements learns nothing of what was decided.

The reply and every note leave at one moment after the statement came, whatever it is, however long
the card takes. Seen to succeed (each is told as soon as it is stored, grants later than others on a
slow card) with `hold_back` out of `StatementIntake.on_statement`.
"""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from firmware.decisions.intake import ANSWER_AFTER_MS
from firmware.protocol.decisions import Decline, Hold, RefuseAgency, Revoke
from firmware.protocol.encoding import WireError
from firmware.protocol.events import ClockSet, Note
from firmware.store.database import Connection, Database
from firmware.store.statements import StatementStore
from tests.fakes.consent_world import NOW_MS
from tests.fakes.intake import DeskRig, desk_rig

STATEMENTS: dict[str, Callable[[DeskRig], bytes]] = {
    "grant": lambda rig: rig.sign(),
    "hold": lambda rig: rig.sign(Hold(from_ms=NOW_MS - 1000, to_ms=NOW_MS)),
    "revoke": lambda rig: rig.sign(Revoke(grant_digest="cd" * 32)),
    "decline": lambda rig: rig.sign(Decline(request_digest="ab" * 32)),
    "never again": lambda rig: rig.sign(RefuseAgency(agency="b-police", is_refused=True)),
    "a browser let in": lambda rig: rig.sign(rig.newcomer()),
    "refused": lambda rig: rig.sign_at(Decline(request_digest="ab" * 32), NOW_MS - 7_200_000),
}


class SlowCard(Database):
    """A card on which each commit takes a while of the rig's time."""

    def __init__(self, rig: DeskRig, commit_ms: int) -> None:
        self._rig: DeskRig | None = None
        super().__init__(rig.database.path)
        self._rig, self._commit_ms = rig, commit_ms

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            yield connection
        if self._rig is not None:
            self._rig.now_ms += self._commit_ms


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


async def seen_after(rig: DeskRig, signed: bytes) -> list[tuple[str, int]]:
    """Return what the relay sees after a statement came, each with how long after it was."""
    rig.told.clear()
    rig.told_ms.clear()
    desk, sealed, came_ms = rig.desk(), rig.seal(signed), rig.now_ms
    rig.is_waited_for = True
    await desk.on_statement(sealed)
    rig.is_waited_for = False
    kinds = [type(body).__name__ for body in rig.told]
    moments = [told_ms - came_ms for told_ms in rig.told_ms]
    return [*zip(kinds, moments, strict=True), ("reply", rig.now_ms - came_ms)]


@pytest.mark.parametrize("commit_ms", [0, 150], ids=["quick card", "slow card"])
async def test_every_decision_is_answered_at_one_moment(rig, commit_ms):
    card = SlowCard(rig, commit_ms)
    rig.database, rig.store = card, StatementStore(card)
    seen = {name: await seen_after(rig, make(rig)) for name, make in STATEMENTS.items()}
    first = seen["grant"]
    assert [kind for kind, _ in first] == ["Note", "reply"]
    assert first[0][1] == ANSWER_AFTER_MS
    assert seen == dict.fromkeys(STATEMENTS, first)
    card.close()


async def test_what_cant_be_opened_is_answered_at_that_moment_too(rig):
    junk, came_ms = rig.seal_junk(b"x" * 100), rig.now_ms
    rig.is_waited_for = True
    desk = rig.desk()
    await desk.on_statement(junk)
    assert rig.now_ms - came_ms == ANSWER_AFTER_MS
    with pytest.raises(WireError):
        await desk.on_statement(msgspec.structs.replace(junk, sealed="A" * 100))
    assert rig.now_ms - came_ms == 2 * ANSWER_AFTER_MS
    assert rig.told_of(Note) == []


async def test_a_card_that_is_slower_still_has_the_next_moment(rig):
    card = SlowCard(rig, 1_100)
    rig.database, rig.store = card, StatementStore(card)
    ((_, moment_ms), *_) = await seen_after(rig, STATEMENTS["grant"](rig))
    assert moment_ms % ANSWER_AFTER_MS == 0
    card.close()


async def test_what_others_tell_meanwhile_isnt_held_back(rig):
    desk = rig.desk()

    async def sleep(_: float) -> None:
        await asyncio.create_task(tell(), context=contextvars.Context())
        assert [type(body) for body in rig.told] == [ClockSet]

    async def tell() -> None:
        await rig.promises.publish(ClockSet(from_seq=1, to_seq=2, offset_ms=3))

    rig.told.clear()
    rig.wait = sleep
    await desk.on_statement(rig.seal(STATEMENTS["hold"](rig)))
    assert [type(body) for body in rig.told] == [ClockSet, Note]
