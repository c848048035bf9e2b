"""Invitations that go by mail as well: the link is shown in every case, and counts."""

import asyncio
import re
from pathlib import Path

import pytest

from firmware.protocol.register.entries import Delays, Limits
from relay.__main__ import main
from relay.agency.register import RegisterService
from relay.cli.register import with_register
from relay.store import agency_settings
from relay.store.agency_settings import AgencySettings
from relay.store.database import Database
from tests.fakes.lost_relay import LosableRelay, make_relay
from tests.relay.http_people import Officer
from tests.relay.http_world import CELLS, World, open_world
from tests.relay.register_town import RegisterTown
from tests.relay.test_mail import Kept, mail_server
from tests.relay.test_sessions import form, of_role, set_limits

PATH = "/agency/staff/invitations"


async def invite(world: World, officer: Officer, email: str = "new@lakeland.example") -> str:
    await set_limits(world, email_domain="lakeland.example")
    return (await form(officer, PATH, email=email)).text


def link_in(text: str) -> str:
    return re.findall(r"http://relay\.test/agency/join\?invitation=[\w-]+", text)[0]


def posted(page: str) -> str:
    return re.findall(r'data-posted="(\w+)"', page)[0]


async def join(world: World, link: str, name: str) -> int:
    new = Officer(world, name)
    return (await new.register(link.partition("=")[2])).status_code


async def test_a_colleague_gets_the_link_that_is_shown(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        page = await invite(world, await of_role(world, "admin"))
        assert posted(page) == "mailed"
        (letter,) = world.post.letters
        assert letter.to == "new@lakeland.example"
        assert letter.text.count(link_in(page)) == 2  # in both languages
        assert "Lakeland Police invites you" in letter.text
        assert "Lakeland Police bjuder in dig" in letter.text
        assert await join(world, link_in(letter.text), "Officer New") == 200


async def test_nobody_else_is_written_to(tmp_path: Path) -> None:
    """Seen to be mailed with `check_colleague` out of `officers.invite`."""
    async with open_world(tmp_path) as world:
        admin = await of_role(world, "admin")
        await invite(world, admin, "chief@elsewhere.example")
        await invite(world, await of_role(world, "officer", "Officer Berg"))
        del admin.http.headers["X-CSRF"]
        without = {"email": "new@lakeland.example"}
        assert (await admin.http.post(PATH, data=without)).status_code == 403
        assert world.post.letters == []


@pytest.mark.parametrize(("has_mail", "said"), [(True, "failed"), (False, "no_mail")])
async def test_without_mail_the_link_is_there_and_counts(
    tmp_path: Path, *, has_mail: bool, said: str
) -> None:
    async with open_world(tmp_path, has_mail=has_mail) as world:
        world.post.is_away = True
        page = await invite(world, await of_role(world, "admin"))
        assert posted(page) == said
        assert "yourself" in page
        assert await join(world, link_in(page), "Officer New") == 200


async def test_an_address_isnt_written_to_without_end(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        admin = await of_role(world, "admin")
        said = [posted(await invite(world, admin)) for _ in range(5)]
        assert said == ["mailed"] * 3 + ["often"] * 2
        assert posted(await invite(world, admin, "other@lakeland.example")) == "mailed"
        assert len(world.post.letters) == 4


# --- at the operator's command line ---


async def relay_with_mail(folder: Path, port: int) -> LosableRelay:
    """Return a relay with one agency, whose settings name a mail server on this machine."""
    relay = await make_relay(folder)
    with relay.config_path.open("a") as file:
        file.write(
            f'\n[mail]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\n'
            'sender = "doorward@relay.example"\n'
        )

    async def fill(database: Database, desk: RegisterService) -> None:
        town = RegisterTown(desk, database)
        await town.charter(delays=Delays(), limits=Limits())
        await town.agree("lakeland", "Lakeland Police", cells=CELLS, begins_ms=0)
        async with database.begin() as tx:
            known = AgencySettings(agency="lakeland", email_domain="lakeland.example")
            await agency_settings.put(tx, known, 1)

    await with_register(relay.config, fill)
    return relay


async def run(relay: LosableRelay, *words: str) -> int:
    config = ("--config", str(relay.config_path))
    return await asyncio.to_thread(main, ["invite", *words, *config])


async def test_the_operators_command_mails_it_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Kept()
    async with mail_server(kept) as port:
        relay = await relay_with_mail(tmp_path, port)
        officer = ("officer", "--agency", "lakeland")
        assert await run(relay, *officer, "--mail", "berg@lakeland.example") == 0
        assert await run(relay, "admin", "--mail", "mia@relay.example") == 0
        links = re.findall(r"within 7 days: (\S+)", capsys.readouterr().out)
        letters = [str(envelope.content) for _, envelope in kept.came]
        assert [envelope.rcpt_tos for _, envelope in kept.came] == [
            ["berg@lakeland.example"],
            ["mia@relay.example"],
        ]
        for link, letter in zip(links, letters, strict=True):
            assert link.partition("=")[2] in letter.replace("=\\r\\n", "")
        assert await run(relay, *officer, "--mail", "berg@elsewhere.example") == 2
        assert "colleagues are invited at lakeland.example only" in capsys.readouterr().err
        assert await run(relay, "owner", "--mail", "ada@home.example") == 2
        assert len(kept.came) == 2


async def test_where_the_mail_server_is_away_the_link_is_printed_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    relay = await relay_with_mail(tmp_path, 1)
    assert await run(relay, "admin", "--mail", "mia@relay.example") == 1
    said = capsys.readouterr()
    assert "/admin/join?invitation=" in said.out
    assert "send it to mia@relay.example yourself" in said.err


async def test_without_a_mail_server_the_command_says_so_before_it_invites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    relay = await make_relay(tmp_path)
    assert await run(relay, "admin", "--mail", "mia@relay.example") == 2
    said = capsys.readouterr()
    assert "[mail]" in said.err
    assert "join" not in said.out
