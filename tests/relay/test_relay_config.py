"""relay.toml: what is accepted, and what is said about the rest."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import relay
from relay.__main__ import main
from relay.config import load, parse
from relay.errors import ConfigError

EXAMPLE = Path(relay.__file__).parent / "relay.example.toml"


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
    keys = {key for key in document if key not in ("broker", "bucket")}
    assert explained == keys | set(document["broker"]) | set(document["bucket"])
    for key in document:  # and there is no key that it leaves out
        assert key in ("demo_passkeys", "broker", "bucket") or refuses_without(key)


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
        ("data_dir", ""),
        ("demo_passkeys", "yes"),
        ("broker.url", "http://127.0.0.1:8404"),
        ("broker.url", "nats://127.0.0.1"),
        ("broker.mqtt_port", 0),
        ("broker.mqtt_port", True),
        ("broker.mqtt_port", "8403"),
        ("broker.mqtt_host", "a\nb"),
        ("broker", 7),
        ("bucket.name", "Evidence"),
        ("bucket.name", "a"),
        ("bucket.endpoint", "localhost:8405"),
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
