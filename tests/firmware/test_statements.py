"""What the desk tells a new owner, and the words by which a swapped newcomer is seen."""

import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from firmware.clips.facts_store import FactsStore
from firmware.protocol.encoding import b64u
from firmware.protocol.events import Note
from firmware.protocol.pairing import newcomer_words
from firmware.statements import newcomer_code
from tests.fakes.consent_world import MINUTE_MS, NOW_MS
from tests.fakes.desk import DeskRig, desk_rig


class NotedStore:
    """Hands everything on to the real store, and notes the threads that ask it."""

    def __init__(self, store: FactsStore) -> None:
        self._store = store
        self.threads: set[int] = set()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        def noted(*values: object, **named: object) -> Any:
            self.threads.add(threading.get_ident())
            return method(*values, **named)

        return noted


@pytest.fixture
async def rig(tmp_path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


async def test_a_new_owner_hears_of_the_requests_that_still_stand(rig):
    desk, newcomer = rig.desk(), rig.newcomer()
    await rig.publish(desk)
    rig.told.clear()
    credential_id = newcomer.owner.passkey.credential_id
    rig.owners.add(newcomer.owner.owner)
    rig.browsers.enrol(newcomer.owner.browser, credential_id, NOW_MS)
    await rig.requests.tell_standing(newcomer.owner.owner)
    assert [note.credential_id for note in rig.told_of(Note)] == [credential_id]


async def test_a_request_that_is_over_is_told_to_nobody_and_forgotten(rig):
    desk, newcomer = rig.desk(), rig.newcomer()
    await rig.publish(desk)
    rig.told.clear()
    rig.now_ms += 8 * 24 * 60 * MINUTE_MS
    await rig.requests.tell_standing(newcomer.owner.owner)
    assert rig.told == []
    assert rig.store.requests()
    rig.requests.forget_old()
    assert rig.store.requests() == []


def test_swapped_keys_of_a_newcomer_change_the_six_words(tmp_path, rig):
    terms = rig.newcomer()
    browser = msgspec.structs.replace(terms.owner.browser, viewing_key=b64u(b"\x09" + bytes(31)))
    swapped = msgspec.structs.replace(terms.owner, browser=browser)
    other = msgspec.structs.replace(terms, owner=swapped)
    words = newcomer_words(newcomer_code(terms))
    assert len(words) == 6
    assert words != newcomer_words(newcomer_code(other))


async def test_from_request_to_release_the_loop_never_waits_for_the_card(rig):
    store = NotedStore(rig.store)
    rig.store = store
    desk = rig.desk()
    await rig.publish(desk)
    signed = rig.sign()
    await desk.on_statement(rig.seal(signed))
    (waiting,) = desk.waiting()
    store.threads.clear()
    await rig.publish(desk)
    await desk.on_statement(rig.seal(signed))
    assert await desk.confirm(waiting.statement.digest) is None
    assert store.threads
    assert threading.get_ident() not in store.threads
