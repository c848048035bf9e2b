"""`doorward-relay backup` beside PostgreSQL's continuous archiving, by the guide's own commands."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.config.loader import load
from relay.custody.errors import LogContradicts
from relay.store import logs as rows
from relay.store.database import Database
from tests.fakes.lost_relay import LosableRelay, make_relay
from tests.house.documents import REPOSITORY
from tests.relay.databases import all_on
from tests.rigs.postgres import MISSING, Archived, archived_server, programs, url_of

pytestmark = pytest.mark.slow

GUIDE = (REPOSITORY / "docs" / "guide" / "operate.md").read_text()
SECTION = GUIDE.partition("**Continuous archiving**")[2].partition("Several relays share")[0]
MAIN, ARCHIVE = "/var/lib/postgresql/main", "/srv/archive"
KEPT_DAYS = 7


def documented(server: Archived, beginning: str) -> str:
    """Return the guide's lines that begin so, about this server's folders."""
    lines = re.findall(rf"^    ({re.escape(beginning)}.*)$", SECTION, re.MULTILINE)
    assert lines, beginning
    text = "\n".join(lines)
    return text.replace(MAIN, str(server.main)).replace(ARCHIVE, str(server.archive))


def back_up_base(server: Archived, day: str | None = None) -> None:
    """Do what the guide's script does each day, as if it were another day, if one is given."""
    script = "\n".join(
        documented(server, line)
        for line in ("set -e", "pg_basebackup", "ls -d", "pg_archivecleanup")
    )
    server.run(script if day is None else script.replace("$(date +%F)", day))


def archive_last(server: Archived) -> Path:
    """Have the server archive what there is; return the file."""
    server.ask("SELECT pg_logical_emit_message(true, '', '')")
    segment = server.ask("SELECT pg_walfile_name(pg_switch_wal())")
    archived = server.archive / "wal" / segment
    server.run(f"while ! test -f {archived}; do sleep 0.1; done")
    return archived


@pytest.fixture
def server() -> Iterator[Archived]:
    at = programs()
    if at is None:
        pytest.skip(MISSING)
    with archived_server(at) as server, all_on(url_of(server.folder)):
        server.create(documented(server, "archive_"))
        yield server


def lose_and_recover(server: Archived, *, until: str = "") -> None:
    """Archive what there is, destroy the server, and make a new one as the guide says."""
    archive_last(server)
    server.destroy()
    for beginning in (
        "mkdir",
        "cp -a",
        'echo "restore_command',
        'echo "recovery_target_action',
        "touch",
    ):
        server.run(documented(server, beginning))
    if until:
        line = documented(server, 'echo "recovery_target_time')
        server.run(re.sub(r"'[-0-9:+ ]+'", f"'{until}'", line))
    server.start()


async def entries_of(place: Path | str) -> list[str]:
    database = await Database.open(place)
    try:
        async with database.read() as tx:
            head = await rows.get_head(tx, "custody")
            return [one.decode() for one in await rows.entries(tx, "custody", 0, head.size)]
    finally:
        await database.close()


async def test_a_server_is_lost_and_recovered_whole_and_then_to_a_moment_before(
    server: Archived, tmp_path: Path
) -> None:
    relay: LosableRelay = await make_relay(tmp_path)
    await relay.publish("1")
    await asyncio.to_thread(back_up_base, server)
    await relay.publish("2")
    manifest = await relay.back_up(tmp_path / "backup")  # beside it
    assert manifest.logs[1].size == 2
    moment = server.ask("SELECT clock_timestamp()")
    await relay.publish("3")

    # The archive had all: the relay goes on.
    await asyncio.to_thread(lose_and_recover, server)
    await relay.publish("4")
    assert await entries_of(relay.config.database) == ["1", "2", "3", "4"]

    # A moment is chosen after which the world has seen more: the relay refuses to go on.
    await asyncio.to_thread(lose_and_recover, server, until=moment)
    assert await entries_of(relay.config.database) == ["1", "2"]
    with pytest.raises(LogContradicts, match="restored from an old backup"):
        await relay.publish("another 3")
    assert await entries_of(relay.config.database) == ["1", "2"]

    # Backed up and restored, it has what the world has seen, and then what waited.
    await relay.back_up(tmp_path / "recovered")
    restored = await relay.restore(tmp_path / "recovered", tmp_path / "new")
    assert restored.put_back == {"register": 0, "custody": 2}
    await relay.publish("5", config=restored.config)
    there = await entries_of(load(tmp_path / "new" / "relay.toml").database)
    assert there == ["1", "2", "3", "4", "another 3", "5"]


def test_of_nine_days_what_the_kept_ones_need_is_there(server: Archived) -> None:
    server.ask("CREATE TABLE days (day integer)")
    segments = []
    for day in range(1, 10):
        server.ask("INSERT INTO days SELECT count(*) + 1 FROM days")
        segments.append(archive_last(server))
        back_up_base(server, f"2099-01-0{day}")
    bases = sorted(path.name for path in server.archive.glob("base-*"))
    assert bases == [f"base-2099-01-0{day}" for day in range(3, 10)]
    assert len(bases) == KEPT_DAYS
    assert [one.exists() for one in segments[:3]] == [False] * 3
    assert all(one.exists() for one in segments[3:])
    server.ask("INSERT INTO days VALUES (10)")
    lose_and_recover(server)
    assert server.ask("SELECT sum(day) FROM days") == str(sum(range(1, 11)))


def test_a_file_that_is_archived_anew_is_taken_and_none_is_overwritten(server: Archived) -> None:
    (command,) = re.findall(r"archive_command = '(.*)'", documented(server, "archive_command"))
    archived = archive_last(server)
    before = archived.read_bytes()
    again = server.folder / "again"
    again.write_bytes(before)
    again.chmod(0o644)
    anew = command.replace("%p", str(again)).replace("%f", archived.name)
    server.run(anew)
    again.write_bytes(before[:-1] + b"x")
    with pytest.raises(RuntimeError):
        server.run(anew)
    assert archived.read_bytes() == before


def test_what_is_left_of_a_lost_server_is_not_mixed_with_the_backup(server: Archived) -> None:
    back_up_base(server)
    with pytest.raises(RuntimeError, match="File exists"):
        server.run(documented(server, "mkdir"))
