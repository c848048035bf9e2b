"""relay.toml: what is accepted, and what is said about the rest."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import relay
from relay.__main__ import main
from relay.config import load, parse
from relay.config_live import LiveConfig, PushConfig
from relay.config_log import LogConfig
from relay.config_values import parse_ice_url
from relay.errors import ConfigError

EXAMPLE = Path(relay.__file__).parent / "relay.example.toml"


OPTIONAL = ("demo_passkeys", "more_owner_origins", "database_url")


def example() -> dict[str, Any]:
    return tomllib.loads(EXAMPLE.read_text())


def test_the_example_is_a_valid_configuration() -> None:
    config = load(EXAMPLE)
    assert config.listen.port == 8400
    assert config.data_dir == EXAMPLE.parent
    assert (config.officer_rp_id, config.owner_rp_id) == ("localhost", "localhost")


def test_the_example_explains_every_key() -> None:
    lines = EXAMPLE.read_text().splitlines()
    explained = set()
    for before, line in zip(["", *lines], lines, strict=False):
        # A key stands under a comment, or under another key that shares it.
        is_explained = before.startswith("#") or re.match(r"[a-z_]+ = ", before)
        if is_explained and (match := re.match(r"([a-z_]+) = ", line)):
            explained.add(match[1])
    document = example()
    tables = ("broker", "bucket", "live", "push", "log", "example", "mail", "map", "limits")
    (document["oidc"],) = document["oidc"]
    tables = (*tables, "oidc", "metrics", "public")
    keys = {key for key in document if key not in tables}
    assert explained == keys.union(*(document[table] for table in tables))
    for key in document:  # and there is no key that it leaves out
        assert key in OPTIONAL or key in tables or refuses_without(key)
    assert {field.name for field in fields(LiveConfig)} == {
        key.replace("_file", "_path") for key in document["live"]
    }
    assert len(fields(PushConfig)) == len(document["push"])
    assert {field.name.removesuffix("_path") for field in fields(LogConfig)} == set(document["log"])


def refuses_without(key: str) -> bool:
    document = example()
    del document[key]
    with pytest.raises(ConfigError, match=key):
        parse(document, folder=Path())
    return True


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("listen", "8400"),
        ("listen", "127.0.0.1:0"),
        ("listen", "127.0.0.1:99999"),
        ("listen", "127.0.0.1:٣"),
        ("listen", 8400),
        ("public_url", "localhost:8400"),
        ("public_url", "http://localhost:8400/"),
        ("public_url", "http://user@localhost"),
        ("public_url", "ftp://localhost"),
        ("public_url", "http://localhost:99999"),
        ("owner_origin", "http://localhost:8400"),
        ("public_url", "http://relay.test"),
        ("public_url", "http://127.0.0.1.relay.test"),
        ("public_url", "http://192.0.2.7:8400"),
        ("owner_origin", "http://door.test"),
        ("more_owner_origins", ["http://door.test"]),
        ("more_owner_origins", "http://localhost:8420"),
        ("more_owner_origins", ["http://localhost:8420/"]),
        ("more_owner_origins", ["http://localhost:8420", "http://localhost:8420"]),
        ("more_owner_origins", ["http://localhost:8400"]),
        ("more_owner_origins", [f"http://localhost:{port}" for port in range(1, 10)]),
        ("data_dir", ""),
        ("demo_passkeys", "yes"),
        ("broker.url", "http://127.0.0.1:8404"),
        ("broker.url", "nats://127.0.0.1"),
        ("broker.mqtt_port", 0),
        ("broker.mqtt_port", True),
        ("broker.mqtt_port", "8403"),
        ("broker.mqtt_host", "a\nb"),
        ("broker", 7),
        ("limits.trusted_proxies", "127.0.0.1"),
        ("limits.trusted_proxies", ["10.0.0.1/8"]),
        ("limits.trusted_proxies", ["::ffff:10.0.0.0/104"]),
        ("limits.factor", 0),
        ("metrics.listen", "9464"),
        ("metrics.listen", 9464),
        ("limits.factor", True),
        ("oidc", {"agency": "lakeland"}),
        ("log.name", "With Spaces"),
        ("log.name", "ends.with."),
        ("log.policy", ""),
        ("log.bucket", "evidence"),
        ("log.retention", "for ever"),
        ("log.retention_days", 0),
        ("log.unknown", "x"),
        ("bucket.name", "Evidence"),
        ("bucket.name", "a"),
        ("bucket.endpoint", "localhost:8405"),
        ("live", 7),
        ("live.stun_urls", "stun:turn.test"),
        ("live.stun_urls", ["stun:turn.test"] * 5),
        ("live.stun_urls", ["turn:turn.test"]),
        ("live.stun_urls", ["stun:turn.test?transport=udp"]),
        ("live.stun_urls", ["stun:"]),
        ("live.stun_urls", ["stun:-a.test"]),
        ("live.stun_urls", ["stun:" + "a" * 254]),
        ("live.stun_urls", ["stun:[::1]"]),
        ("live.stun_urls", ["stun:turn.test:0"]),
        ("live.stun_urls", ["stun:turn.test:65536"]),
        ("live.stun_urls", ["stun://turn.test"]),
        ("live.stun_urls", ["stun:me@turn.test"]),
        ("live.turn_urls", ["stun:turn.test"]),
        ("live.turn_urls", ["turn:turn.test?transport=sctp"]),
        ("live.turn_urls", ["turns:turn.test?transport=udp"]),
        ("live.turn_urls", ["turn:turn.test\n"]),
        ("live.turn_urls", [7]),
        ("live.turn_lifetime_s", 599),
        ("live.turn_lifetime_s", 3601),
        ("live.turn_lifetime_s", True),
        ("live.turn_lifetime_s", 1200.0),
        ("live.turn_secret_file", 7),
        ("live.surprise", 1),
        ("push", 7),
        ("push.contact", "operator@example.org"),
        ("push.contact", "mailto: <operator@example.org>"),
        ("push.contact", "http://example.org"),
        ("push.hosts", "fcm.googleapis.com"),
        ("push.hosts", ["https://fcm.googleapis.com"]),
        ("push.hosts", ["*"]),
        ("push.hosts", ["*.*.com"]),
        ("push.hosts", [7]),
        ("push.loopback", "yes"),
        ("push.surprise", 1),
        ("surprise", 1),
        ("bucket.surprise", 1),
    ],
)
def test_a_bad_value_is_named_with_what_was_expected(key: str, value: object) -> None:
    document = example()
    table, _, last = key.rpartition(".")
    (document[table] if table else document)[last] = value
    with pytest.raises(ConfigError) as refusal:
        parse(document, folder=Path())
    assert refusal.value.key == key
    assert refusal.value.value == value
    assert refusal.value.expected


@pytest.mark.parametrize(
    ("text", "port", "transport"),
    [
        ("stun:turn.test", 3478, "udp"),
        ("stun:192.0.2.1:80", 80, "udp"),
        ("turn:turn.test", 3478, "udp"),
        ("turn:turn.test:443?transport=tcp", 443, "tcp"),
        ("turns:turn.test", 5349, "tcp"),
        ("turns:turn.test:443?transport=tcp", 443, "tcp"),
    ],
)
def test_where_a_stun_or_turn_server_is_is_read_as_browsers_do(
    text: str, port: int, transport: str
) -> None:
    url = parse_ice_url(text)
    assert (url.text, url.port, url.transport) == (text, port, transport)


def test_without_a_live_table_nothing_outside_is_asked() -> None:
    document = example()
    del document["live"]
    assert parse(document, folder=Path()).live == LiveConfig()


@pytest.mark.parametrize(
    ("public_url", "contact", "said"),
    [
        ("https://relay.test", "", "https://relay.test"),
        ("https://relay.test", "mailto:me@relay.test", "mailto:me@relay.test"),
        ("http://localhost:8400", "", None),
    ],
)
def test_push_services_are_told_a_contact_that_they_accept(
    public_url: str, contact: str, said: str | None
) -> None:
    document = example()
    document["public_url"] = public_url
    document["push"] = {"contact": contact}
    assert parse(document, folder=Path()).push_contact == said


@pytest.mark.parametrize("missing", ["turn_urls", "turn_secret_file"])
def test_a_turn_server_and_its_secret_belong_together(missing: str) -> None:
    document = example()
    del document["live"][missing]
    with pytest.raises(ConfigError) as refusal:
        parse(document, folder=Path())
    assert refusal.value.key == f"live.{missing}"


def test_a_bad_secret_is_not_repeated() -> None:
    document = example()
    document["bucket"]["secret_key"] = "hunter2\n"
    with pytest.raises(ConfigError) as refusal:
        parse(document, folder=Path())
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("text", [None, "listen = ", "listen = 7\n", "\udcff"])
def test_serve_ends_with_2_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    path = tmp_path / "relay.toml"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert main(["serve", "--config", str(path)]) == 2
    said = capsys.readouterr().err
    assert "bad setting" in said
    assert "expected" in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://doorward:s3cret@db.test:5433/doorward?ssl=verify-full",
        "postgresql://doorward@/doorward?host=/run/postgresql",
        "postgresql://doorward@localhost/doorward",
        "postgresql://doorward@10.0.0.5/doorward?ssl=disable",
    ],
)
def test_a_postgresql_database_takes_the_place_of_the_file(url: str) -> None:
    document = example()
    assert parse(document, folder=Path("/srv")).database == Path("/srv/relay.sqlite3")
    document["database_url"] = url
    assert parse(document, folder=Path("/srv")).database == url


@pytest.mark.parametrize(
    "url",
    [
        7,
        "sqlite:///s3cret.sqlite3",
        "postgresql://doorward:s3cret@db.test/doorward",
        "postgresql://doorward:s3cret@db.test/doorward?ssl=prefer",
        "postgresql://doorward:s3cret@db.test/doorward?ssl=verify-full&passfile=x",
        "postgresql://doorward:s3cret@db.test/doorward?host=10.0.0.5",
        "postgresql://doorward:s3cret@localhost/",
        "postgresql://doorward:s3cret@localhost:x/doorward",
        "postgresql://doorward:s3cret@/doorward",
    ],
)
def test_a_wrong_database_url_is_refused_and_not_repeated(url: object) -> None:
    """Over a network without a word on TLS, it would go in the clear; and it holds a password."""
    document = example()
    document["database_url"] = url
    with pytest.raises(ConfigError) as caught:
        parse(document, folder=Path())
    assert caught.value.key == "database_url"
    assert "s3cret" not in str(caught.value)
    assert "ssl=verify-full" in str(caught.value)
