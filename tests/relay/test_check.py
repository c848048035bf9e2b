"""What `doorward-relay check` says of the machine and the logs, and what the metrics gather."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from firmware.protocol.shards import ShardDirectory
from relay.agency.agencies import Agencies
from relay.agency.register import NoLog, RelayRegister
from relay.app.metrics_collector import MetricsCollector
from relay.app.probes import Health
from relay.backup.owned_files import note_backup
from relay.base.clock import SystemClock
from relay.base.metrics import Figures
from relay.cli import preflight
from relay.cli.check import check_log
from relay.config.settings import Config, LimitsConfig, LogConfig, MapConfig, ShardsConfig
from relay.custody.errors import LogError
from relay.store.database import Database
from tests.fakes.clock import ManualClock
from tests.fakes.log_house import NAME, make_keys
from tests.fakes.lost_relay import LosableRelay, make_relay
from tests.fakes.shards import DirectorySigning, listed
from tests.relay.check_words import word_of
from tests.relay.databases import ON_SQLITE_ONLY

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
async def relay(tmp_path: Path) -> LosableRelay:
    return await make_relay(tmp_path)


@pytest.mark.services
async def test_the_logs_keys_policy_and_bucket_are_looked_at(
    object_server: Config, tmp_path: Path
) -> None:
    keys = make_keys(tmp_path / "witnesses")
    for name, signer in keys.signers.items():
        (tmp_path / f"{name}.key").write_text(signer.saved())
        (tmp_path / f"{name}.key").chmod(0o600)
    (tmp_path / "policy.txt").write_bytes(keys.policy_text)
    log = LogConfig(
        name=NAME,
        register_key_path=tmp_path / "register.key",
        custody_key_path=tmp_path / "custody.key",
        policy_path=tmp_path / "policy.txt",
        bucket="checked",
    )
    said = await check_log(log, replace(object_server, log=log))
    assert said.startswith(f"{NAME}, 3 witnesses, the store ")
    with pytest.raises(LogError, match="is the key of"):
        await check_log(replace(log, custody_key_path=log.register_key_path), object_server)
    (tmp_path / "register.key").chmod(0o644)
    with pytest.raises(LogError, match="chmod 600"):
        await check_log(log, object_server)
    (tmp_path / "policy.txt").unlink()
    with pytest.raises(LogError, match="log policy"):
        await check_log(log, object_server)


async def test_the_age_of_what_witnesses_signed_is_judged(relay: LosableRelay) -> None:
    clock = ManualClock(wall_ms=SystemClock().wall_ms())
    (first, *_) = await preflight.check_witness_times(relay.config, clock)
    assert word_of(first) == "warn"
    assert "no checkpoint yet" in first.detail
    relay.keys.away.add("cem")
    await relay.publish("a", log="register")
    await relay.publish("a")
    findings = await preflight.check_witness_times(relay.config, SystemClock())
    assert [word_of(one) for one in findings if one.what == "log"] == ["ok", "ok"]
    assert any("cem hasn't signed" in one.detail for one in findings)
    clock = ManualClock(wall_ms=SystemClock().wall_ms() + 2 * HOUR_MS)
    old = await preflight.check_witness_times(relay.config, clock)
    assert [word_of(one) for one in old if one.what == "log"] == ["FAIL", "FAIL"]
    behind = await preflight.check_witness_times(
        relay.config, ManualClock(wall_ms=SystemClock().wall_ms() - HOUR_MS)
    )
    assert any(one.what == "clock" and not one.is_ok for one in behind)


@ON_SQLITE_ONLY
async def test_a_damaged_database_is_found(relay: LosableRelay) -> None:
    await relay.publish(*(f"{number}" * 4000 for number in range(20)))
    assert word_of(await preflight.check_database_file(relay.config)) == "ok"
    path = relay.config.database_path
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 8192)
    finding = await preflight.check_database_file(relay.config)
    assert word_of(finding) == "FAIL"
    assert finding is not None
    assert "damaged" in finding.detail


async def test_what_ends_soon_is_said(relay: LosableRelay) -> None:
    now_ms = SystemClock().wall_ms()
    for days, word in ((0, "ok"), (365 * 100, "FAIL")):
        clock = ManualClock(wall_ms=now_ms + days * DAY_MS)
        findings = await preflight.check_certificate_dates(relay.config, clock)
        assert {word_of(one) for one in findings} == {word}
        assert len(findings) == 2


async def test_a_public_address_without_tls_is_a_warning(relay: LosableRelay) -> None:
    config = replace(relay.config, public_url="https://127.0.0.1:9")
    finding = (await preflight.check_certificate_dates(config, SystemClock()))[-1]
    assert word_of(finding) == "warn"
    assert "can't be reached" in finding.detail


async def test_mail_maps_disk_and_backups_each_have_their_word(relay: LosableRelay) -> None:
    config = relay.config
    assert word_of(await preflight.check_mail_server(config)) == "warn"
    assert preflight.check_map_files(config) is None
    lost = replace(config, map=MapConfig(pmtiles_path=config.data_dir / "none.pmtiles"))
    assert word_of(preflight.check_map_files(lost)) == "FAIL"
    assert "MiB free" in preflight.check_disk_space(config).detail
    clock = SystemClock()
    assert "there is none" in preflight.check_backup_age(config, clock).detail
    note_backup(config, clock.wall_ms())
    assert word_of(preflight.check_backup_age(config, clock)) == "ok"
    note_backup(config, clock.wall_ms() - 9 * DAY_MS)
    assert word_of(preflight.check_backup_age(config, clock)) == "warn"


async def gathered(relay: LosableRelay, config: Config) -> Figures:
    clock = SystemClock()
    database = await Database.open(config.database)
    register = RelayRegister(NoLog(), database, clock, origin=f"{NAME}/register")

    async def health() -> Health:
        return Health(is_broker_up=True, is_bucket_up=False, is_database_up=True)

    desk = MetricsCollector(
        config=config,
        database=database,
        clock=clock,
        agencies=Agencies(register, database, clock),
        policy=relay.keys.policy,
        check_health=health,
    )
    try:
        return await desk.gather()
    finally:
        await database.close()


async def test_figures_are_gathered_from_the_whole_relay(relay: LosableRelay) -> None:
    await relay.publish("a", "b")
    figures = await gathered(relay, relay.config)
    rows = figures.rows
    assert rows is not None
    assert figures.parts_up == {"broker": True, "bucket": False, "database": True}
    assert (rows.moderation_waiting, rows.doorbells) == (0, 0)
    assert (figures.backup_age_s, rows.agreement_days_left) == (None, None)
    assert figures.shard_directory_days_left is None
    custody = rows.logs["custody"]
    assert (custody.size, custody.published_size) == (2, 2)
    assert custody.age_s is not None
    assert -2 < custody.age_s < 60
    assert len(custody.witness_age_s) >= 2
    assert rows.logs["register"].age_s is None
    # No checkpoint has a signature of theirs: an age of before would be taken for theirs.
    assert set(rows.logs["register"].witness_age_s.values()) == {None}
    assert rows.logs["register"].witness_age_s.keys() >= custody.witness_age_s.keys()
    assert rows.database_bytes > 100_000
    assert figures.streams == {}  # no broker was given


async def test_the_figures_say_when_the_directory_of_shards_ends(
    relay: LosableRelay, tmp_path: Path
) -> None:
    path, now_ms = tmp_path / "shards.note", SystemClock().wall_ms()
    own = listed("north", "https://north.example", ca_sha256="a" * 64, policy=b"")
    directory = ShardDirectory(
        number=1, made_ms=now_ms, expires_ms=now_ms + 20 * DAY_MS, shards=(own,)
    )
    path.write_bytes(DirectorySigning().note(directory))
    config = replace(relay.config, shards=ShardsConfig(id="north", directory_path=path))
    left = (await gathered(relay, config)).shard_directory_days_left
    assert left == pytest.approx(20, abs=0.1)
    path.write_bytes(b"no directory")
    assert (await gathered(relay, config)).shard_directory_days_left == 0
    path.unlink()
    assert (await gathered(relay, config)).shard_directory_days_left == 0


async def test_a_proxy_that_nobody_named_is_a_warning(relay: LosableRelay) -> None:
    assert preflight.check_proxies(relay.config) is None  # http: it may be reached as it is
    behind = replace(relay.config, public_url="https://relay.example")
    finding = preflight.check_proxies(behind)
    assert word_of(finding) == "warn"
    assert finding is not None
    assert "set trusted_proxies in [limits] of relay.toml" in finding.detail
    named = replace(behind, limits=LimitsConfig(trusted_proxies=("127.0.0.1/32",)))
    assert preflight.check_proxies(named) is None
