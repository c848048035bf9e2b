"""Agreements' texts as the operator looks after them: `check`, `restore-text`, publication."""

import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import text as sql

from firmware.protocol.encoding import sha256_hex
from firmware.protocol.register.entries import Delays, Limits
from relay.agency.changes import ChangeRefused
from relay.agency.register import RegisterService
from relay.base.clock import SystemClock
from relay.cli.admin_commands import restore_text
from relay.cli.preflight import check_agreement_texts, check_policy_charter
from relay.cli.register import with_register
from relay.config.settings import Config
from relay.store.database import Database
from tests.fakes.lost_relay import make_relay
from tests.fakes.sequenced_entries import place_entries
from tests.relay.http_world import CELLS
from tests.relay.register_town import TEXT, RegisterTown

SHA256 = sha256_hex(TEXT.encode())


@pytest.fixture
async def config(tmp_path: Path) -> Config:
    relay = await make_relay(tmp_path)

    async def fill(database: Database, desk: RegisterService) -> None:
        town = RegisterTown(desk, database)
        await town.charter(delays=Delays(), limits=Limits())
        await town.agree("lakeland", "Lakeland", cells=CELLS, begins_ms=0)

    await with_register(relay.config, fill)
    return relay.config


async def tamper(config: Config, statement: str) -> None:
    async def act(database: Database, _: RegisterService) -> None:
        async with database.begin() as tx:
            await tx.execute(sql(statement))

    await with_register(config, act)


async def test_check_says_that_the_texts_are_what_they_claim(config: Config) -> None:
    (finding,) = await check_agreement_texts(config)
    assert (finding.is_ok, finding.detail) == (True, "1, each as the register names it")
    assert await check_agreement_texts(replace(config, log=None)) == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE agreement_texts SET text = text || ' '", "isn't the one that was signed"),
        ("DELETE FROM agreement_texts", "is missing"),
    ],
)
async def test_check_fails_and_names_the_command_that_mends_it(
    config: Config, tmp_path: Path, statement: str, words: str
) -> None:
    await tamper(config, statement)
    (finding,) = await check_agreement_texts(config)
    assert not finding.is_ok
    assert words in finding.detail
    assert SHA256 in finding.detail
    assert "doorward-relay admin restore-text FILE" in finding.detail
    signed = tmp_path / "agreement.md"
    signed.write_text(TEXT)
    assert await restore_text(config, signed) == SHA256
    (finding,) = await check_agreement_texts(config)
    assert finding.is_ok


@pytest.mark.parametrize(
    ("data", "words"), [(b"Another text.", "no agreement"), (b"\xff\xfe", "isn't text in UTF-8")]
)
async def test_only_a_text_that_the_register_names_is_put_back(
    config: Config, tmp_path: Path, data: bytes, words: str
) -> None:
    other = tmp_path / "agreement.md"
    other.write_bytes(data)
    with pytest.raises(ChangeRefused, match=words):
        await restore_text(config, other)


def test_nobody_but_the_reader_takes_a_text_out_of_the_database() -> None:
    relay = Path(__file__).parents[2] / "relay"
    callers = {
        path.relative_to(relay).as_posix()
        for path in relay.rglob("*.py")
        if "find_agreement_text(" in path.read_text()
    }
    assert callers == {"custody/text_reader.py", "store/requests.py"}


async def test_check_fails_for_a_policy_that_does_not_name_the_charter(config: Config) -> None:
    """Neither without its line nor with another digest is it served; with the line it is."""
    assert config.log is not None
    origin, path = f"{config.log.name}/register", config.log.policy_path
    assert await check_policy_charter(config) == []  # the register's first entry has no place yet

    async def place(database: Database, _: RegisterService) -> None:
        await place_entries(database, SystemClock(), "register")

    await with_register(config, place)
    (missing,) = await check_policy_charter(config)
    assert not missing.is_ok
    line = re.findall(rf"#charter {re.escape(origin)} [0-9a-f]{{64}}", missing.detail)[0]
    bare = path.read_bytes()
    path.write_bytes(bare + f"{line[:-64]}{'0' * 64}\n".encode())
    (another,) = await check_policy_charter(config)
    assert f"names {'0' * 64}" in another.detail
    path.write_bytes(bare + f"{line}\n".encode())
    assert await check_policy_charter(config) == []
    assert await check_policy_charter(replace(config, log=None)) == []
