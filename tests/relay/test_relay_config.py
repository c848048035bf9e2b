"""relay.toml: what is accepted, and what is said about the rest."""

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

import relay
from firmware.protocol.settings_file import keys_of
from relay.__main__ import main
from relay.config.loader import load, parse
from relay.config.postgresql_url import UrlFault, parse_postgresql_url
from relay.config.settings import Config, LiveConfig, host_of
from relay.config.values import parse_ice_url
from relay.errors import ConfigError

EXAMPLE = Path(relay.__file__).parent / "relay.example.toml"

LISTEN = 'host:port, such as "127.0.0.1:8400"'
ORIGIN = "http(s)://host[:port] without a path, such as http://localhost:8400"
SECURE_ORIGIN = "https://…: passkeys need https anywhere but on this machine itself"
ORIGINS = 'up to 8 origins, such as ["http://localhost:8420"]'
BOOLEAN = "true or false"
ROLES = "some of web, ingest, log, notify"
NOT_ALL_ROLES = "all of them: only on PostgreSQL (database_url) is there more than one process"
DRAIN_S = "a whole number of seconds from 0 to 60"
BROKER_URL = "nats://host:port or tls://host:port"
PORT = "a whole number from 1 to 65535"
NETWORKS = "a list of networks such as 192.0.2.0/24 or 2001:db8::/32"
FACTOR = "a number from 0.1 to 1000"
METRICS_LISTEN = 'host:port of this machine or your own network, such as "127.0.0.1:9464"'
OIDC_TABLES = "[[oidc]] tables"
LOG_NAME = "2 to 60 of a-z, 0-9, . and -, such as doorward.example.org"
FILE = "a file"
RETENTION_DAYS = "1 to 36500 days"
BUCKET_NAME = "3 to 63 of a-z, 0-9 and -"
LOG_URL = "https://host/folder, with no / at its end"
LOG_PLACE = "a place of the logs' own: this is the bucket of packages, which stays private"
STUN_URLS = "up to 4 of stun:host[:port] (a name or an IPv4 address)"
TURN_URLS = (
    "up to 4 of turn:host[:port], with ?transport=udp or ?transport=tcp, "
    "or turns:host[:port] (a name or an IPv4 address)"
)
TURN_LIFETIME_S = "a whole number of seconds from 600 to 3600"
CONTACT = "mailto:name@host or https://host, or nothing"
PUSH_HOSTS = "a list of host names in small letters, each may begin with *."
SHOWN = {dict: "is a table", list: "is a list"}
"""How a sentence shows what is in the place of [[oidc]] tables: without what it holds."""


def example() -> dict[str, Any]:
    return tomllib.loads(EXAMPLE.read_text())


def test_the_example_is_a_valid_configuration() -> None:
    config = load(EXAMPLE)
    assert config.listen.port == 8400
    assert config.data_dir == EXAMPLE.parent
    assert (config.officer_rp_id, host_of(config.owner_origin)) == ("localhost", "localhost")


def test_the_example_explains_every_key() -> None:
    lines = EXAMPLE.read_text().splitlines()
    explained = set()
    for before, line in zip(["", *lines], lines, strict=False):
        # A key stands under a comment, or under another key that shares it.
        is_explained = before.startswith("#") or re.match(r"[a-z_]+ = ", before)
        if is_explained and (match := re.match(r"([a-z_]+) = ", line)):
            explained.add(match[1])
    document = example()
    (document["oidc"],) = document["oidc"]
    named = {
        f"{key}.{inner}" if isinstance(value, dict) else key
        for key, value in document.items()
        for inner in (value if isinstance(value, dict) else [""])
    }
    assert named == {key for key, _ in keys_of(Config)}  # there is no key that it leaves out
    assert explained == {key.rpartition(".")[2] for key in named}


@pytest.mark.parametrize("key", [f.encode_name for f in structs.fields(Config) if f.required])
def test_what_has_no_default_may_not_be_left_out(key: str) -> None:
    document = example()
    del document[key]
    with pytest.raises(ConfigError, match=f"{key}.* is missing: expected ") as refusal:
        parse(document, folder=Path())
    assert refusal.value.key == key


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("listen", "8400", LISTEN),
        ("listen", "127.0.0.1:0", LISTEN),
        ("listen", "127.0.0.1:99999", LISTEN),
        ("listen", "127.0.0.1:٣", LISTEN),
        ("listen", 8400, LISTEN),
        ("public_url", "localhost:8400", ORIGIN),
        ("public_url", "http://localhost:8400/", ORIGIN),
        ("public_url", "http://user@localhost", ORIGIN),
        ("public_url", "ftp://localhost", ORIGIN),
        ("public_url", "http://localhost:99999", ORIGIN),
        ("owner_origin", "http://localhost:8400", "another origin than public_url"),
        ("public_url", "http://relay.test", SECURE_ORIGIN),
        ("public_url", "http://127.0.0.1.relay.test", SECURE_ORIGIN),
        ("public_url", "http://192.0.2.7:8400", SECURE_ORIGIN),
        ("owner_origin", "http://door.test", SECURE_ORIGIN),
        ("more_owner_origins", ["http://door.test"], SECURE_ORIGIN),
        ("more_owner_origins", "http://localhost:8420", ORIGINS),
        ("more_owner_origins", ["http://localhost:8420/"], ORIGINS),
        (
            "more_owner_origins",
            ["http://localhost:8420", "http://localhost:8420"],
            ORIGINS,
        ),
        ("more_owner_origins", ["http://localhost:8400"], "other origins than public_url"),
        (
            "more_owner_origins",
            [f"http://localhost:{port}" for port in range(1, 10)],
            ORIGINS,
        ),
        ("data_dir", "", "a folder"),
        ("demo_passkeys", "yes", BOOLEAN),
        ("roles", [], ROLES),
        ("roles", ["web", "web"], ROLES),
        ("roles", ["web", "mail"], ROLES),
        ("roles", "all", ROLES),
        ("roles", ["web"], NOT_ALL_ROLES),
        ("drain_s", -1, DRAIN_S),
        ("drain_s", 61, DRAIN_S),
        ("broker.url", "http://127.0.0.1:8404", BROKER_URL),
        ("broker.url", "nats://127.0.0.1", BROKER_URL),
        ("broker.mqtt_port", 0, PORT),
        ("broker.mqtt_port", True, PORT),
        ("broker.mqtt_port", "8403", PORT),
        ("broker.mqtt_host", "a\nb", "a host name that doorbells can reach"),
        ("broker", 7, "a table [broker]"),
        ("limits.trusted_proxies", "127.0.0.1", NETWORKS),
        ("limits.trusted_proxies", ["10.0.0.1/8"], NETWORKS),
        ("limits.trusted_proxies", ["::ffff:10.0.0.0/104"], NETWORKS),
        ("limits.factor", 0, FACTOR),
        ("metrics.listen", "9464", METRICS_LISTEN),
        ("metrics.listen", 9464, METRICS_LISTEN),
        ("limits.factor", True, FACTOR),
        ("oidc", {"agency": "lakeland"}, OIDC_TABLES),
        ("log.name", "With Spaces", LOG_NAME),
        ("log.name", "ends.with.", LOG_NAME),
        ("log.policy", "", FILE),
        ("log.bucket", "evidence", "another bucket than that of packages"),
        ("log.public_url", "http://logs.test", LOG_URL),
        ("log.public_url", "https://logs.test/log/", LOG_URL),
        ("log.public_url", "https://user@logs.test/log", LOG_URL),
        ("log.public_url", "https://logs.test/log?a=b", LOG_URL),
        ("log.public_url", "https:///log", LOG_URL),
        ("log.public_url", "http://localhost:8405/evidence", LOG_PLACE),
        ("log.public_url", "http://localhost:8405/evidence/log", LOG_PLACE),
        ("log.retention", "for ever", "none, governance or compliance"),
        ("log.retention_days", 0, RETENTION_DAYS),
        ("bucket.name", "Evidence", BUCKET_NAME),
        ("bucket.name", "a", BUCKET_NAME),
        ("bucket.endpoint", "localhost:8405", ORIGIN),
        ("live", 7, "a table [live]"),
        ("live.stun_urls", "stun:turn.test", STUN_URLS),
        ("live.stun_urls", ["stun:turn.test"] * 5, STUN_URLS),
        ("live.stun_urls", ["turn:turn.test"], STUN_URLS),
        ("live.stun_urls", ["stun:turn.test?transport=udp"], STUN_URLS),
        ("live.stun_urls", ["stun:"], STUN_URLS),
        ("live.stun_urls", ["stun:-a.test"], STUN_URLS),
        ("live.stun_urls", ["stun:" + "a" * 254], STUN_URLS),
        ("live.stun_urls", ["stun:[::1]"], STUN_URLS),
        ("live.stun_urls", ["stun:turn.test:0"], STUN_URLS),
        ("live.stun_urls", ["stun:turn.test:65536"], STUN_URLS),
        ("live.stun_urls", ["stun://turn.test"], STUN_URLS),
        ("live.stun_urls", ["stun:me@turn.test"], STUN_URLS),
        ("live.turn_urls", ["stun:turn.test"], TURN_URLS),
        ("live.turn_urls", ["turn:turn.test?transport=sctp"], TURN_URLS),
        ("live.turn_urls", ["turns:turn.test?transport=udp"], TURN_URLS),
        ("live.turn_urls", ["turn:turn.test\n"], TURN_URLS),
        ("live.turn_urls", [7], TURN_URLS),
        ("live.turn_lifetime_s", 599, TURN_LIFETIME_S),
        ("live.turn_lifetime_s", 3601, TURN_LIFETIME_S),
        ("live.turn_lifetime_s", True, TURN_LIFETIME_S),
        ("live.turn_lifetime_s", 1200.0, TURN_LIFETIME_S),
        ("live.turn_secret_file", 7, FILE),
        ("push", 7, "a table [push]"),
        ("push.contact", "operator@example.org", CONTACT),
        ("push.contact", "mailto: <operator@example.org>", CONTACT),
        ("push.contact", "http://example.org", CONTACT),
        ("push.hosts", "fcm.googleapis.com", PUSH_HOSTS),
        ("push.hosts", ["https://fcm.googleapis.com"], PUSH_HOSTS),
        ("push.hosts", ["*"], PUSH_HOSTS),
        ("push.hosts", ["*.*.com"], PUSH_HOSTS),
        ("push.hosts", [7], PUSH_HOSTS),
        ("push.loopback", "yes", BOOLEAN),
        ("oidc", [7], OIDC_TABLES),
        ("mail.security", "none", "starttls or tls; none to a server on this machine only"),
        ("mail.sender", "x", "an address, such as doorward@relay.example"),
        ("mail.port", 0, PORT),
        (
            "mail.official_domains",
            ["gov uk"],
            ('a list of domains, such as [".gov", "police.uk"]; .gov stands for all below it'),
        ),
        ("mail.host", "", "the mail server's host name"),
        ("limits.factor", 2000, FACTOR),
        ("limits.factor", float("inf"), FACTOR),
        ("log.retention_days", 36501, RETENTION_DAYS),
        ("map.pmtiles", 7, FILE),
        ("example.clock", 7, FILE),
        ("public.monitor_report", 7, FILE),
        ("push.contact", 7, CONTACT),
    ],
)
def test_a_bad_value_is_named_with_what_was_expected(
    key: str, value: object, expected: str
) -> None:
    document = example()
    table, _, last = key.rpartition(".")
    (document[table] if table else document)[last] = value
    with pytest.raises(ConfigError) as refusal:
        parse(document, folder=Path())
    assert refusal.value.key == key
    assert refusal.value.value == value
    shown = SHOWN.get(type(value), f"= {value!r}") if key == "oidc" else f"= {value!r}"
    assert str(refusal.value) == f"{key} {shown}: expected {expected}"


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("log.unknown", "x", "log.unknown: no such key (expected one of the keys name, regis"),
        ("live.surprise", 1, "live.surprise: no such key (expected one of the keys stun_urls, "),
        ("push.surprise", 1, "push.surprise: no such key (expected one of the keys contact, "),
        ("surprise", 1, "surprise: no such key (expected one of the keys listen, public_url, "),
        ("bucket.surprise", 1, "bucket.surprise: no such key (expected one of the keys endpoint, "),
        ("mail.hots", "x", "mail.hots: no such key; the nearest is mail.host (expected one of "),
        ("lisen", "x", "lisen: no such key; the nearest is listen (expected one of the keys "),
        ("broker.listen", "x", "broker.listen: no such key; the nearest is listen (expected one "),
        ("log.mqtt_port", 1, "log.mqtt_port: no such key; the nearest is broker.mqtt_port (exp"),
        ("buckets", {"a": 1}, "[buckets]: no such table; the nearest is [bucket] (expected one "),
        ("broker.bucket", {"a": 1}, "[broker.bucket]: no such table; the nearest is [bucket] "),
        ("limit", [{"a": 1}], "limit: no such key; the nearest is [limits] (expected one of the "),
    ],
)
def test_an_unknown_key_or_table_names_the_nearest_known_one(
    key: str, value: object, sentence: str
) -> None:
    document = example()
    table, _, last = key.rpartition(".")
    (document[table] if table else document)[last] = value
    with pytest.raises(ConfigError) as refusal:
        parse(document, folder=Path())
    assert (refusal.value.key, refusal.value.value) == (key, value)
    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize("key", [key for key, _ in keys_of(Config)])
def test_every_key_has_words_for_what_it_expects(key: str) -> None:
    document = example()
    (document["oidc"],) = document["oidc"]
    table, _, last = key.rpartition(".")
    (document[table] if table else document)[last] = date(2026, 11, 29)  # no key takes a date
    document["oidc"] = [document["oidc"]]
    with pytest.raises(ConfigError) as refusal:
        parse(document, folder=Path())
    assert refusal.value.key == key
    assert str(refusal.value).startswith(f"{key} = ")
    assert ": expected " in str(refusal.value)


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
    assert str(refusal.value) == "bucket.secret_key = '(hidden)': expected a text"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("secret_key =", "secret_kee ="),
        ("[bucket]", "[buckets]"),
        ("[bucket]", "[[bucket]]"),
        ("[bucket]", "[broker.bucket]"),
    ],
)
def test_a_secret_under_a_wrong_name_is_not_repeated(old: str, new: str) -> None:
    text = EXAMPLE.read_text().replace(old, new, 1).replace("change-me", "hunter2", 1)
    with pytest.raises(ConfigError) as refusal:
        parse(tomllib.loads(text), folder=Path())
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "a readable file (No such file or directory); `doorward-relay init` writes one"),
        ("listen = ", "a TOML file (Invalid value (at line 1, the end of the file))"),
        ("listen = 7\n", LISTEN),
        ("# a\n\udcff", "a TOML file, which is text in UTF-8 (not so at line 2)"),
        ("a = " + "[" * 5000, "a TOML file (maximum recursion depth exceeded"),
    ],
)
def test_serve_ends_with_2_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, expected: str
) -> None:
    path = tmp_path / "relay.toml"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert main(["serve", "--config", str(path)]) == 2
    said = capsys.readouterr().err
    assert "bad setting" in said
    assert f": expected {expected}" in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://doorward:s3cret@db.test:5433/doorward?ssl=verify-full",
        "postgresql://doorward:s3cret@db.test/doorward?sslmode=require&connect_timeout=3",
        "postgresql://doorward@/doorward?host=/run/postgresql",
        "postgresql://doorward@/doorward?host=/run/postgresql&port=24050",
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
    ("url", "why"),
    [
        (7, "sslmode=verify-full"),
        ("sqlite:///s3cret.sqlite3", "it begins with postgresql://"),
        ("postgresql://doorward:s3cret@db.test/doorward", "on another machine needs sslmode"),
        ("postgresql://doorward:s3cret@db.test/doorward?ssl=prefer", "sslmode is disable, req"),
        ("postgresql://doorward:s3cret@db.test/doorward?sslmode=off", "sslmode is disable, req"),
        ("postgresql://doorward:s3cret@localhost/doorward?sslmode=off", "sslmode is disable, all"),
        ("postgresql://d:s3cret@db.test/d?sslmode=require&keepalives=1", "'keepalives' after the"),
        ("postgresql://doorward:s3cret@db.test/doorward?host=10.0.0.5", "or as host=, not both"),
        ("postgresql://doorward:s3cret@localhost/", "the database's name follows the host"),
        ("postgresql://doorward:s3cret@localhost:x/doorward", "port 'x' isn't a number from 1"),
        ("postgresql://d@/d?host=/run/postgresql&port=x", "port 'x' isn't a number from 1"),
        ("postgresql://d@/d?host=/a,/b&port=1,2,3", "as there are hosts (2), or one"),
        ("postgresql://doorward:s3cret@/doorward", "a host is missing"),
        ("postgresql://d:s3cret@a,b/d?ssl=require&target_session_attrs=standby", "relay writes"),
        ("postgresql://d:s3cret@localhost/d?password=x&password=y", "stands there once"),
        ("postgresql://d:s3#cret@localhost/d", "it is written %23"),
    ],
)
def test_a_wrong_database_url_is_refused_by_its_part_and_not_repeated(
    url: object, why: str
) -> None:
    """Over a network without a word on TLS, it would go in the clear; and it holds a password."""
    document = example()
    document["database_url"] = url
    with pytest.raises(ConfigError) as caught:
        parse(document, folder=Path())
    assert caught.value.key == "database_url"
    assert "s3cret" not in str(caught.value)
    assert "sslmode=verify-full" in str(caught.value)
    assert why in str(caught.value)


def test_a_url_of_several_hosts_is_read_as_libpq_does() -> None:
    url = parse_postgresql_url(
        "postgresql://door%40ward:s%3Ap@a.test:5433,[2001:db8::1],c.test/relay?sslmode=verify-full"
        "&sslrootcert=/etc/ssl/db.pem"
    )
    assert url.hosts == (("a.test", 5433), ("2001:db8::1", 5432), ("c.test", 5432))
    assert (url.user, url.password, url.database) == ("door@ward", "s:p", "relay")
    assert url.target == "read-write"  # of several hosts, since the relay writes
    assert url.shown == "postgresql://door%40ward@a.test:5433,[2001:db8::1],c.test/relay"
    assert url.environment == {
        "PGHOST": "a.test,2001:db8::1,c.test",
        "PGPORT": "5433,5432,5432",
        "PGDATABASE": "relay",
        "PGUSER": "door@ward",
        "PGPASSWORD": "s:p",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/etc/ssl/db.pem",
        "PGTARGETSESSIONATTRS": "read-write",
    }
    sockets = parse_postgresql_url("postgresql:///relay?host=/a,/b&port=24050&user=me")
    assert sockets.hosts == (("/a", 24050), ("/b", 24050))
    assert sockets.shown == "postgresql://me@/relay?host=/a,/b&port=24050,24050"


@settings(max_examples=300)
@given(st.text(max_size=60))
def test_any_text_is_a_url_or_a_fault(text: str) -> None:
    for url in (text, f"postgresql://{text}", f"postgresql://localhost/d?{text}"):
        try:
            parsed = parse_postgresql_url(url)
        except UrlFault:
            continue
        again = parse_postgresql_url(
            parsed.shown + ("&" if "?" in parsed.shown else "?") + "ssl=disable"
        )
        assert (again.hosts, again.user, again.database) == (
            parsed.hosts,
            parsed.user,
            parsed.database,
        )


@pytest.mark.parametrize(
    ("broker", "key"),
    [
        ({"urls": []}, "broker.urls"),
        ({"urls": ["nats://a:1", "tls://b:1"]}, "broker.urls"),
        ({"urls": ["nats://a:1", "nats://a:1"]}, "broker.urls"),
        ({"urls": ["http://a:1"]}, "broker.urls"),
        ({"urls": ["nats://a:1"], "replicas": 2}, "broker.replicas"),
        ({"urls": ["nats://a:1"], "replicas": True}, "broker.replicas"),
    ],
)
def test_a_cluster_of_brokers_has_an_address_for_each(broker: dict[str, Any], key: str) -> None:
    document = example()
    del document["broker"]["url"]
    document["broker"] |= broker
    with pytest.raises(ConfigError) as refusal:
        parse(document, folder=Path())
    assert refusal.value.key == key


def test_a_broker_is_named_by_url_or_urls() -> None:
    document = example()
    document["broker"] |= {"url": "nats://a:1", "urls": ["nats://b:1", "nats://a:1"]}
    assert parse(document, folder=Path()).broker.servers == ("nats://a:1", "nats://b:1")
    del document["broker"]["url"]
    assert parse(document, folder=Path()).broker.servers == ("nats://b:1", "nats://a:1")
