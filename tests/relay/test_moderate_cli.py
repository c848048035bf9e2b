"""`doorward-relay moderate …`: the command line decides by the same code, as one moderator."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from relay.people.invitations import invite_admin
from relay.request.appeals import Appeals
from relay.store import people, requests
from relay.store.moderation import list_decisions
from relay.store.people import Account
from tests.fakes.clock import ManualClock
from tests.relay.admin_people import waiting_request
from tests.relay.databases import open_database
from tests.relay.http_world import open_world
from tests.relay.test_register import Town, town  # noqa: F401 (a fixture)

WHY = "It asks who was at a meeting."


async def _copy_a_request(folder: Path, config: Path) -> tuple[str, Account]:
    """Put a request that waits at another relay before this one's moderators."""
    folder.mkdir()
    async with open_world(folder) as world:
        world.clock.set_wall_ms(time.time_ns() // 1_000_000)  # the command line's own
        officer, request_id = await waiting_request(world)
        async with world.database.read() as tx:
            row = await requests.find_request(tx, request_id)
            account = await people.find_account(tx, officer.officer_id)
    assert row is not None
    assert row.cosigned is not None
    assert account is not None
    database = await open_database(config)
    try:
        async with database.begin() as tx:
            await people.add_account(tx, account, 1)
            digest, owner = row.digest, account.id
            await requests.add_draft(
                tx, row.draft, row.request, account_id=owner, digest=digest, now_ms=1
            )
            await requests.set_cosigned(tx, row.id, row.cosigned, 1)
    finally:
        await database.close()
    return row.id, account


def _signed_in(town: Town) -> Town:  # noqa: F811
    town.sign("charter.json", "ann", "bob")
    assert town.submit("charter.json") == 0
    town.enrol()
    enrolment = town.folder / "enrolment.json"
    town.relay(
        *("admin", "propose", "agreement", enrolment, "--config", town.config),
        *("--out", town.folder / "change.json"),
    )
    town.sign("change.json", "ann", "bob")
    assert town.submit("change.json") == 0
    return town


def test_refuses_with_a_reason_and_decides_no_appeal_against_itself(
    town: Town,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _signed_in(town)
    request_id, officer = asyncio.run(_copy_a_request(tmp_path / "world", town.database))
    config = ("--config", town.config)
    refuse = ("moderate", "refuse", request_id, "--category", "assembly")
    with pytest.raises(SystemExit):
        town.relay(*refuse, *config)
    assert town.relay(*refuse, "--reason", " ", *config) == 1
    assert town.relay(*refuse, "--reason", WHY, *config) == 0
    assert town.relay("moderate", "pass", request_id, *config) == 1

    async def appeal() -> None:
        database = await open_database(town.database)
        clock = ManualClock()
        async with database.begin() as tx:
            await requests.set_state(
                tx, request_id, "refused", clock.wall_ms(), category="assembly"
            )
        await Appeals(database, clock).appeal(officer, request_id, "It is about a theft.")
        await database.close()

    asyncio.run(appeal())
    capsys.readouterr()
    assert town.relay("moderate", "list", *config) == 0
    told = capsys.readouterr().out
    assert "refused: assembly; its officers appeal" in told
    assert "It is about a theft." in told
    assert town.relay("moderate", "overturn", request_id, "--reason", "No.", *config) == 1
    assert "another moderator" in capsys.readouterr().err

    async def decisions() -> list[str]:
        database = await open_database(town.database)
        async with database.read() as tx:
            found = [one.verdict for one in await list_decisions(tx, request_id)]
        await database.close()
        return found

    assert asyncio.run(decisions()) == ["refused"]


def test_an_administrators_account_is_ended_here_alone(
    town: Town,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert town.relay("invite", "admin", "--config", town.config) == 0
    assert re.search(r"/admin/join\?invitation=\S{20,}", capsys.readouterr().out)

    async def join() -> None:
        database = await open_database(town.database)
        async with database.begin() as tx:
            await invite_admin(tx, 1)
            for name, role in (("Mia Sund", "admin"), ("Ada Lind", "owner")):
                account = Account(id=name[:3].lower() * 8, role=role, agency=None, name=name)
                await people.add_account(tx, account, 1)
        await database.close()

    asyncio.run(join())
    assert town.relay("moderate", "people", "--config", town.config) == 0
    told = capsys.readouterr().out
    assert "Mia Sund" in told
    assert "Ada Lind" not in told
    assert town.relay("moderate", "end", "ada" * 8, "--config", town.config) == 1
    assert town.relay("moderate", "end", "mia" * 8, "--config", town.config) == 0
    capsys.readouterr()
    town.relay("moderate", "people", "--config", town.config)
    assert "ended" in capsys.readouterr().out
