"""The worst day, drilled: a relay is backed up as it runs, lost, and back with one history."""

import json
import stat
from pathlib import Path

import pytest
from sqlalchemy import text

from firmware.protocol.custody import CustodyLeaf, ReleaseLeaf, slot_entry
from firmware.protocol.tlog.checkpoint import parse_checkpoint
from firmware.protocol.tlog.signed_note import parse_note
from relay.backup.errors import BackupDamaged, BackupError, WouldFork
from relay.backup.manifest import read_manifest
from relay.config.loader import load
from relay.custody.errors import LogContradicts, LogError
from relay.custody.log_entries import LogEntries
from relay.custody.slots import last_closed
from relay.errors import SchemaTooNew
from relay.people.invitations import invite_owner
from relay.store import logs as rows
from relay.store.database import Database
from tests.fakes.log_house import MemoryBucket, make_keys
from tests.fakes.lost_relay import LosableRelay, files_in, make_relay
from tests.relay.databases import ON_SQLITE_ONLY


@pytest.fixture
async def relay(tmp_path: Path) -> LosableRelay:
    return await make_relay(tmp_path)


def published(relay: LosableRelay, log: str = "custody") -> tuple[int, str]:
    """What the world sees of a log: its size and root."""
    checkpoint = parse_checkpoint(parse_note(relay.log_bucket.files[f"{log}/checkpoint"]).text)
    return checkpoint.size, checkpoint.root.hex()


async def entries_of(relay: LosableRelay, folder: Path, log: str = "custody") -> list[str]:
    database = await Database.open(load(folder / "relay.toml").database)
    try:
        async with database.read() as tx:
            head = await rows.get_head(tx, log)
            return [one.decode() for one in await rows.entries(tx, log, 0, head.size)]
    finally:
        await database.close()


async def test_a_running_relay_is_backed_up_whole(relay: LosableRelay, tmp_path: Path) -> None:
    await relay.publish("a", log="register")
    async with relay.running() as (database, logs):
        async with database.begin() as tx:
            pending = [await logs.add(tx, "custody", f"{n}".encode(), key=f"{n}") for n in range(3)]
        await logs.logged(pending[-1])
        manifest = await relay.back_up(tmp_path / "backup")
    assert [(log.origin.split("/")[1], log.size) for log in manifest.logs] == [
        ("register", 1),
        ("custody", 3),
    ]
    assert published(relay) == (3, manifest.logs[1].root)
    assert read_manifest(tmp_path / "backup") == manifest
    names = {path.name for path in files_in(tmp_path / "backup" / "files")}
    assert {"relay.toml", "ca.key", "broker-keys.json", "push.key", "policy.txt"} <= names
    assert {"log-register.key", "log-custody.key", "s3.json", "nats.conf"} <= names


async def test_only_its_owner_reads_a_backup(relay: LosableRelay, tmp_path: Path) -> None:
    await relay.publish("a")
    await relay.back_up(tmp_path / "backup")
    for path in files_in(tmp_path / "backup"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o700


async def test_all_is_lost_and_comes_back_with_one_history(
    relay: LosableRelay, tmp_path: Path
) -> None:
    await relay.publish("r1", "r2", log="register")
    await relay.publish("c1", "c2", "c3")
    before = published(relay, "register"), published(relay)
    await relay.back_up(tmp_path / "backup")
    relay.lose_all()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    assert restored.put_back == {"register": 0, "custody": 0}
    assert (published(relay, "register"), published(relay)) == before
    assert not [path for path in files_in(tmp_path / "new") if path.stat().st_mode & 0o077]
    await relay.publish("c4", config=restored.config)
    assert published(relay)[0] == 4
    assert await entries_of(relay, tmp_path / "new") == ["c1", "c2", "c3", "c4"]


async def test_what_was_published_after_the_backup_is_read_back_from_the_bucket(
    relay: LosableRelay, tmp_path: Path
) -> None:
    await relay.publish("r1", log="register")
    await relay.publish(*(f"old {number}" for number in range(250)))
    await relay.back_up(tmp_path / "backup")
    await relay.publish("r2", log="register")
    await relay.publish(*(f"new {number}" for number in range(20)))
    await relay.publish("last")
    before = published(relay, "register"), published(relay)
    relay.lose_machine()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    assert restored.put_back == {"register": 1, "custody": 21}
    await relay.publish("and on", config=restored.config)
    assert published(relay, "register") == before[0]
    assert published(relay)[0] == before[1][0] + 1
    there = await entries_of(relay, tmp_path / "new")
    assert there[:250] == [f"old {number}" for number in range(250)]
    assert there[250:] == [*(f"new {number}" for number in range(20)), "last", "and on"]


async def test_what_waited_in_the_backup_gets_the_place_that_it_has_in_the_world(
    relay: LosableRelay, tmp_path: Path
) -> None:
    await relay.publish("placed")
    database = await Database.open(relay.config.database)
    async with database.begin() as tx:
        waiting = await LogEntries().add(tx, "custody", b"waiting", key="its own key")
    await database.close()
    await relay.back_up(tmp_path / "backup")
    await relay.publish("later")
    relay.lose_machine()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    assert restored.put_back["custody"] == 2
    assert await entries_of(relay, tmp_path / "new") == ["placed", "waiting", "later"]
    async with relay.running(restored.config) as (database, logs):
        assert (await logs.logged(waiting)).index == 1


async def test_an_old_backup_is_refused_where_only_the_witnesses_know_of_more(
    relay: LosableRelay, tmp_path: Path
) -> None:
    """The attack, or the accident: without asking the witnesses this relay would sign a fork.

    Seen with the question to the witnesses taken out: the log signs another second entry.
    """
    await relay.publish("first")
    await relay.back_up(tmp_path / "backup")
    await relay.publish("second, as the world saw it")
    relay.lose_all()
    with pytest.raises(WouldFork, match="has seen 2 entries, and this backup has 1"):
        await relay.restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new").exists()


async def test_another_history_is_refused(relay: LosableRelay, tmp_path: Path) -> None:
    await relay.publish("first")
    await relay.back_up(tmp_path / "backup")
    relay.lose_machine()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    await relay.publish("second", config=restored.config)
    relay.log_bucket.files["custody/tile/entries/000.p/2"] = b"\0\5first\0\5other"
    with pytest.raises(WouldFork, match="don't give the root"):
        await relay.restore(tmp_path / "backup", tmp_path / "newer")


async def test_a_bucket_of_another_relay_is_refused(relay: LosableRelay, tmp_path: Path) -> None:
    await relay.publish("first")
    await relay.back_up(tmp_path / "backup")
    (tmp_path / "other").mkdir()
    other = await make_relay(tmp_path / "other")
    await other.publish("of another")
    relay.log_bucket = other.log_bucket
    with pytest.raises(WouldFork, match="isn't this log's"):
        await relay.restore(tmp_path / "backup", tmp_path / "new")


async def test_a_witness_that_is_away_has_to_be_named(relay: LosableRelay, tmp_path: Path) -> None:
    await relay.publish("first")
    await relay.back_up(tmp_path / "backup")
    relay.lose_all()
    relay.keys.away.add("cem")
    with pytest.raises(BackupError, match="--without-witness cem"):
        await relay.restore(tmp_path / "backup", tmp_path / "new")
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new", without=["cem"])
    await relay.publish("second", config=restored.config)


async def test_a_quorum_of_witnesses_cannot_be_left_out(
    relay: LosableRelay, tmp_path: Path
) -> None:
    await relay.publish("first")
    await relay.back_up(tmp_path / "backup")
    relay.lose_all()
    with pytest.raises(BackupError, match="are a quorum"):
        await relay.restore(tmp_path / "backup", tmp_path / "new", without=["bea", "cem"])
    with pytest.raises(BackupError, match="no witness dan"):
        await relay.restore(tmp_path / "backup", tmp_path / "new", without=["dan"])


@pytest.mark.parametrize("what", ["changed", "missing", "added", "link", "unfinished"])
async def test_a_damaged_backup_is_refused(relay: LosableRelay, tmp_path: Path, what: str) -> None:
    await relay.publish("first")
    await relay.back_up(tmp_path / "backup")
    policy = tmp_path / "backup" / "files" / "policy.txt"
    match what:
        case "changed":
            policy.write_bytes(policy.read_bytes() + b"# and more\n")
        case "missing":
            policy.unlink()
        case "added":
            (policy.parent / "more.toml").write_text("")
        case "link":
            policy.unlink()
            policy.symlink_to("/etc/hostname")
        case _:
            (tmp_path / "backup" / "manifest.json").unlink()
    with pytest.raises(BackupDamaged):
        await relay.restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new").exists()


async def test_a_manifest_leads_nowhere_else(relay: LosableRelay, tmp_path: Path) -> None:
    await relay.publish("first")
    await relay.back_up(tmp_path / "backup")
    path = tmp_path / "backup" / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in ("../outside", "/etc/passwd", "files/../../outside", "files//policy.txt", ".ssh/x"):
        manifest["files"][0]["path"] = name
        path.write_text(json.dumps(manifest))
        with pytest.raises(BackupDamaged, match="no path of a backup"):
            await relay.restore(tmp_path / "backup", tmp_path / "new")


@ON_SQLITE_ONLY
async def test_a_changed_entry_is_found_though_all_digests_fit(
    relay: LosableRelay, tmp_path: Path
) -> None:
    """Whoever changes a backup can write the manifest anew, but not what the log's key signed."""
    await relay.publish("first", "second")
    database = await Database.open(relay.config.database)
    async with database.begin() as tx:
        await tx.execute(text("UPDATE log_entries SET entry = 'secont' WHERE entry = 'second'"))
    await database.close()
    with pytest.raises(BackupDamaged, match="aren't what was hashed"):
        await relay.back_up(tmp_path / "backup")


async def test_a_newer_backup_is_refused(relay: LosableRelay, tmp_path: Path) -> None:
    await relay.back_up(tmp_path / "backup")
    path = tmp_path / "backup" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    with pytest.raises(SchemaTooNew):
        await relay.restore(tmp_path / "backup", tmp_path / "new")


async def test_nothing_is_overwritten(relay: LosableRelay, tmp_path: Path) -> None:
    await relay.back_up(tmp_path / "backup")
    with pytest.raises(BackupError, match="isn't empty"):
        await relay.back_up(tmp_path / "backup")
    with pytest.raises(BackupError, match="isn't empty"):
        await relay.restore(tmp_path / "backup", tmp_path / "relay")


async def test_settings_name_the_new_folder(relay: LosableRelay, tmp_path: Path) -> None:
    await relay.publish("first")
    await relay.back_up(tmp_path / "backup")
    relay.lose_all()
    endpoint = "http://bucket.test:8333"
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new", bucket_endpoint=endpoint)
    assert restored.config.data_dir == tmp_path / "new"
    assert restored.config.bucket.endpoint == endpoint
    assert str(tmp_path / "new" / "broker") in (tmp_path / "new" / "nats.conf").read_text()
    assert str(tmp_path / "relay") not in (tmp_path / "new" / "nats.conf").read_text()


async def test_one_time_things_are_void_afterwards(relay: LosableRelay, tmp_path: Path) -> None:
    """An invitation that was used after the backup must not be good once more."""
    await relay.publish("first")
    database = await Database.open(relay.config.database)
    async with database.begin() as tx:
        await invite_owner(tx, relay.clock.wall_ms())
    await database.close()
    await relay.back_up(tmp_path / "backup")
    relay.lose_all()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    database = await Database.open(restored.config.database)
    async with database.read() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM invitations"))).scalar_one() == 0
    await database.close()


async def test_a_stolen_policy_does_not_help(relay: LosableRelay, tmp_path: Path) -> None:
    """The policy in the backup has to name the log's own key."""
    await relay.publish("first")
    other = make_keys(tmp_path / "others")
    (tmp_path / "relay" / "policy.txt").write_bytes(other.policy_text)
    await relay.back_up(tmp_path / "backup")
    with pytest.raises(LogError, match="lacks the key of"):
        await relay.restore(tmp_path / "backup", tmp_path / "new")


async def test_a_relay_whose_bucket_is_gone_does_not_go_on_and_comes_back(
    relay: LosableRelay, tmp_path: Path
) -> None:
    """An old database, copied back by hand beside a new bucket, would else sign a fork.

    Seen to sign with the look at the empty bucket taken out of the writer.
    """
    await relay.publish("first", "second")
    before = published(relay)
    relay.log_bucket = MemoryBucket()
    with pytest.raises(LogContradicts, match="doorward-relay backup"):
        await relay.publish("third")
    assert relay.log_bucket.files == {}
    await relay.back_up(tmp_path / "backup")
    relay.lose_machine()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    assert published(relay) == before
    await relay.publish("fourth", config=restored.config)
    assert await entries_of(relay, tmp_path / "new") == ["first", "second", "third", "fourth"]


async def test_what_comes_back_is_known_by_its_own_name(
    relay: LosableRelay, tmp_path: Path
) -> None:
    """Else a slot would be closed, or a release logged, a second time."""
    slot = slot_entry(7, b"\0" * 32)
    release = CustodyLeaf(body=ReleaseLeaf(commitment="c" * 64)).encode()
    await relay.back_up(tmp_path / "backup")
    await relay.publish(slot.decode(), release.decode())
    relay.lose_machine()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    database = await Database.open(restored.config.database)
    async with database.begin() as tx:
        assert await last_closed(tx) == 7
        await LogEntries().add(tx, "custody", release, key=f"release:{'c' * 64}")
        assert len(await LogEntries().added(tx, "custody", 0)) == 2
    await database.close()
