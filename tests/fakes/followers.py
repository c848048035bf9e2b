"""Followers of a town's register that share a card, one after another, and what they asked for."""

import random
from pathlib import Path

import httpx2

from firmware.following.follower import RegisterFollower
from firmware.following.policy_file import logs_of
from firmware.following.source import LogSource
from tests.fakes.clock import ManualClock
from tests.fakes.log_town import NOW_MS, Town

LOG_URL = "https://relay.example/log"


class Followers:
    """Makes followers of one town that share a card, one after another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "register"
        self.clock = ManualClock(wall_ms=NOW_MS)
        self.witnessed: list[int] = []
        self.asked: list[str] = []

    def of(self, town: Town, *, log_url: str = LOG_URL) -> RegisterFollower:
        inner = town.transport()

        async def answer(request: httpx2.Request) -> httpx2.Response:
            self.asked.append(request.url.path.removeprefix("/log/register/"))
            return await inner.handle_async_request(request)

        http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
        return RegisterFollower(
            folder=self.folder,
            logs=logs_of(town.policy),
            source=LogSource(http, log_url, "register"),
            clock=self.clock,
            note_witnessed=self.witnessed.append,
            chance=random.Random(7),
        )
