"""firmware.outbox.deferred_events: what is gathered is told once it is kept, and nothing holds up
the rest."""

import asyncio
from pathlib import Path

import pytest

from firmware.errors import EventRefused, OutboxFull
from firmware.outbox.deferred_events import DeferredEvents
from firmware.protocol.events import EventBody, Motion, Note, Pressed
from firmware.store.database import Database
from firmware.store.deferred_events import (
    DeferredEvent,
    DeferredEventStore,
    deferred_event_of,
    put_deferred_events,
    wake_held,
    wake_unheard,
)
from tests.fakes.events import PublishedEvents


class Home:
    """A card and what was told."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / "library.sqlite3")
        self.store = DeferredEventStore(self.database)
        self.error: Exception | None = None
        """Raised when the next promise is kept."""
        self.events = PublishedEvents(self._on_publish)
        self.promises = DeferredEvents(store=self.store, events=self.events)

    @property
    def told(self) -> list[EventBody]:
        return self.events.bodies

    async def _on_publish(self, _body: EventBody) -> None:
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def keep(self, promises: list[DeferredEvent], *, holder: str | None = None) -> None:
        with self.database.write() as connection:
            put_deferred_events(connection, promises, holder=holder)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_what_is_gathered_is_told_when_it_is_kept_in_its_order(home: Home) -> None:
    with home.promises.collect() as told:
        await home.promises.publish(Pressed())
        await home.promises.publish(Motion())
    assert home.told == []
    home.keep(told)
    await home.promises.flush()
    assert home.told == [Pressed(), Motion()]
    assert home.store.due() == []


async def test_others_tell_meanwhile_and_so_does_a_task_that_outlives_the_gathering(
    home: Home,
) -> None:
    """Seen to fail with `is_open` unchecked in promises.py."""
    is_over = asyncio.Event()

    async def tell_later() -> None:
        await is_over.wait()
        await home.promises.publish(Motion())

    async def tell_now() -> None:
        await home.promises.publish(Pressed())

    other = asyncio.create_task(tell_now())
    with home.promises.collect() as told:
        late = asyncio.create_task(tell_later())
        await other
    is_over.set()
    await late
    assert told == []
    assert home.told == [Pressed(), Motion()]


async def test_what_waits_for_a_statement_is_not_due_before_it_is_done(home: Home) -> None:
    with home.promises.collect() as planned:
        await home.promises.publish(Pressed())
    home.keep(planned, holder="ab" * 32)
    await home.promises.flush()
    assert home.told == []
    with home.database.write() as connection:
        wake_held(connection, "ab" * 32)
    await home.promises.flush()
    assert home.told == [Pressed()]


async def test_what_can_never_be_told_holds_up_no_other(home: Home) -> None:
    """Seen to fail with EventRefused left to the clause for what is told later."""
    with home.promises.collect() as told:
        await home.promises.publish(Pressed())
        await home.promises.publish(Motion())
    home.keep(told)
    home.error = EventRefused(200_000, 100_000)
    await home.promises.flush()
    assert home.told == [Motion()]
    assert home.store.due() == []


async def test_what_cant_be_told_now_stays_promised(home: Home) -> None:
    with home.promises.collect() as told:
        await home.promises.publish(Pressed())
    home.keep(told)
    home.error = OutboxFull(500)
    await home.promises.flush()
    assert home.told == []
    await home.promises.flush()
    assert home.told == [Pressed()]


async def test_only_browsers_that_are_told_nothing_else_get_what_was_planned(home: Home) -> None:
    """And a note of another version keeps no statement from ending: seen to fail without that."""
    gone, here = (
        Note(credential_id="AAAA", browser=name * 20, sealed="AAAA") for name in ("a", "b")
    )
    home.keep([deferred_event_of(body) for body in (gone, here, Pressed())], holder="d")
    with home.database.write() as connection:
        connection.execute("INSERT INTO promises VALUES ('x', X'7B7D', 'd')")
        wake_unheard(connection, "d", [deferred_event_of(here)])
    assert [one.body for one in home.store.due()] == [gone]
