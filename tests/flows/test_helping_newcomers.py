"""The demo's helpers: a server that stalls, or a mistake of ours, doesn't end them."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from tests.fakes.ports import free_port
from tests.fakes.waiting import eventually, in_time
from tests.story.api import Api
from tests.story.children import Children, Program
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


@contextlib.asynccontextmanager
async def one_that_comes_late(port: int, *answers: bytes) -> AsyncIterator[list[bytes]]:
    """A server that is away at first, and then answers so, one connection each; yield requests."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answers[len(asked) - 1])
        writer.close()

    async def come() -> None:
        await asyncio.sleep(0.4)
        async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
            await server.serve_forever()

    coming = asyncio.create_task(come())
    try:
        yield asked
    finally:
        coming.cancel()
        with suppress(asyncio.CancelledError):
            await coming


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


async def test_a_killed_server_is_waited_for_and_what_it_may_have_done_is_not_asked_twice() -> None:
    """Seen to fail without the second try, and with one for everything."""
    port = free_port()
    api = Api(f"http://127.0.0.1:{port}", away_s=20.0)
    async with one_that_comes_late(port, OK, b"", OK, b"") as asked:
        assert await api.post("/first") == {}
        assert await api.get("/second") == {}  # its first answer was cut off
        assert len(asked) == 3
        with pytest.raises(StoryError, match="RemoteProtocolError"):
            await api.post("/third")
        assert len(asked) == 4
    await api.close()


def a_program(*words: str) -> Program:
    async def is_ready() -> bool:
        return True

    return Program(name="server", command=[sys.executable, "-c", *words], is_ready=is_ready)


async def test_a_program_that_was_killed_is_started_again(tmp_path: Path) -> None:
    children = Children(tmp_path)
    await children.start(a_program("import time; time.sleep(60)"))
    first = children.pid("server")
    keeping = asyncio.create_task(children.keep_running())
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: children.pid("server") != first)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await children.stop_all()


async def test_a_program_that_ends_again_and_again_ends_the_story(tmp_path: Path) -> None:
    children = Children(tmp_path)
    await children.start(a_program("print('no disk'); raise SystemExit(7)"))
    with pytest.raises(StoryError, match=r"(?s)server ended with exit code 7.*no disk"):
        await in_time(children.keep_running())
    await children.stop_all()


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
