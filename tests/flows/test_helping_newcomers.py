"""The demo's helpers: a server that stalls, or a mistake of ours, doesn't end them."""

import asyncio
from contextlib import suppress

import httpx2
import pytest

from tests.fakes.waiting import in_time
from tests.relay.servers import free_port
from tests.story.api import Api
from tests.story.settings import StoryError
from tests.story.stay import POLL_S, REST_POLL_S, Seen, again_and_again


async def rounds_of(*outcomes: Exception) -> int:
    """Let a helper's work end so, one after the other; return how often it was begun."""
    begun, is_done = 0, asyncio.Event()

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun <= len(outcomes):
            raise outcomes[begun - 1]
        is_done.set()

    helping = asyncio.create_task(again_and_again(work, pause_s=lambda: 0.0))
    await in_time(is_done.wait())
    helping.cancel()
    with suppress(asyncio.CancelledError):
        await helping
    return begun


async def test_a_helper_goes_on_after_whatever_fails(capsys: pytest.CaptureFixture[str]) -> None:
    # Seen to fail (the helper had ended) with StoryError alone caught in stay.py.
    stalled = httpx2.ReadTimeout("no answer in 20 s")
    assert await rounds_of(stalled, stalled, StoryError("the relay is away"), KeyError("csrf")) == 5
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3, "each trouble is said, once in a row"
    assert "no answer in 20 s" in said[0]
    assert said[1] == "a newcomer couldn't be helped: the relay is away"


async def test_a_server_that_is_away_is_a_sentence_of_the_story() -> None:
    api = Api(f"http://127.0.0.1:{free_port()}", away_s=0.0)
    for ask in (api.get_page("/agency"), api.get("/api"), api.request("POST", "/town")):
        with pytest.raises(StoryError, match="ConnectError"):
            await ask
    await api.close()


def test_helpers_look_less_often_while_there_is_nothing_to_do() -> None:
    now_s = 1000.0
    seen = Seen(lambda: now_s)
    assert seen.pause_s() == POLL_S
    now_s += 120
    assert seen.pause_s() == 4
    now_s += 24 * 3600
    assert seen.pause_s() == REST_POLL_S
    seen.add("somebody")
    assert "somebody" in seen
    assert seen.pause_s() == POLL_S
