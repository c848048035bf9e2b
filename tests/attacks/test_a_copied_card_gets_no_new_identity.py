"""A new identity at a whole doorbell: the real process, its broker, its own page, and two starts.

Whoever has only a copy of the card has neither the door number nor the link of the owner's account.
"""

import asyncio
import subprocess
from pathlib import Path

import httpx2
import pytest

from firmware.protocol.claims import Claim, Invitation
from firmware.protocol.commands import CardCloned
from tests.attacks.aftermath import marked_video
from tests.fakes.siege import DOOR_NUMBER, FIRMWARE, Siege, siege, wall_ms
from tests.fakes.waiting import PATIENCE_S, eventually

pytestmark = [pytest.mark.services, pytest.mark.slow]


def link_of(here: Siege) -> str:
    claim = Claim(
        relay_url=here.relay.url,
        secret="c2VjcmV0",
        ca_sha256=here.ca.sha256,
        expires_ms=wall_ms() + 3_600_000,
    )
    return Invitation(claim=claim).link


async def status_of(http: httpx2.AsyncClient) -> dict[str, object]:
    """Wait for the doorbell's page, and return its status."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return dict((await http.get("/")).json())
            except httpx2.HTTPError:
                await asyncio.sleep(0.1)


async def test_door_number_and_link_give_it_and_nothing_else_does(tmp_path: Path) -> None:
    marked_video(tmp_path / "canary.mp4")
    async with siege(tmp_path) as here:
        headers = {"Origin": here.door_url, "Accept": "application/json"}
        async with httpx2.AsyncClient(
            base_url=here.door_url, headers=headers, timeout=PATIENCE_S
        ) as http:

            async def post(path: str, **fields: str) -> int:
                return (await http.post(path, data=fields)).status_code

            assert await post("/identity/unlock", door_number=DOOR_NUMBER) == 200
            assert await post("/identity", link=link_of(here)) == 409  # nobody copied anything
            await here.command(CardCloned())
            http.cookies.clear()
            assert await post("/identity", link=link_of(here)) == 403
            assert (await status_of(http))["device"] == here.device
            await post("/identity/unlock", door_number=DOOR_NUMBER)
            assert await post("/identity", link=link_of(here)) == 200
            await eventually(lambda: not (here.card / "owners.json").exists())
            await eventually(lambda: not (here.card / "next-identity").exists())
            arguments = [FIRMWARE, "--config", here.card / "doorbell.toml", "run"]
            with (tmp_path / "second.log").open("wb") as log:
                second = subprocess.Popen(arguments, stdout=log, stderr=log)  # noqa: ASYNC220
            try:
                status = await status_of(http)
                assert status["device"] != here.device
                assert not status["is_paired"]
                assert status["clip_count"] == 0
                assert status["troubles"] == []
            finally:
                second.terminate()
                await asyncio.to_thread(second.wait, PATIENCE_S)
