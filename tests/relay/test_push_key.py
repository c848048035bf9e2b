"""The relay's key at push services: its tokens, its file, and what `check` says of it."""

import logging
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from relay.__main__ import main
from relay.cli.check import check_push
from relay.config.loader import load
from relay.config.settings import PushConfig
from relay.errors import ConfigError
from relay.fleet.ca import key_pem
from relay.notify.push_key import TOKEN_LIFE_S, PushKey
from tests.fakes.push_service import claims_of


def test_a_token_says_whose_pushes_these_are_and_to_whom_for_half_a_day() -> None:
    key = PushKey.create()
    header = key.authorization(
        audience="https://push.test", subject="mailto:me@relay.test", now_ms=5_000
    )
    assert header.endswith(f", k={key.public_key}")
    assert claims_of(header, key.public_key) == {
        "aud": "https://push.test",
        "exp": 5 + TOKEN_LIFE_S,
        "sub": "mailto:me@relay.test",
    }
    with pytest.raises(InvalidSignature):
        claims_of(header, PushKey.create().public_key)


def test_a_relay_of_before_gets_a_key_once_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "push.key"
    first = PushKey.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PushKey.load_or_create(path).public_key == first.public_key


@pytest.mark.parametrize("text", ["", "no key", key_pem(ec.generate_private_key(ec.SECP384R1()))])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "push.key").write_text(text)
    with pytest.raises(ConfigError, match="doorward-relay init"):
        PushKey.load_or_create(tmp_path / "push.key")


@pytest.mark.parametrize(
    ("contact", "is_warning", "said"),
    [("mailto:me@relay.test", False, "mailto:me@relay.test"), (None, True, "Apple")],
)
def test_check_says_what_push_services_are_shown(
    tmp_path: Path, contact: str | None, is_warning: bool, said: str
) -> None:
    assert main(["init", "--data", str(tmp_path / "data")]) == 0
    config = load(tmp_path / "data" / "relay.toml")
    finding = check_push(replace(config, push=PushConfig(contact=contact)))
    assert (finding.is_ok, finding.is_warning) == (True, is_warning)
    assert said in finding.detail
    config.push_key_path.write_text("broken")
    finding = check_push(config)
    assert not finding.is_ok
    config.push_key_path.unlink()
    finding = check_push(config)
    assert "serve makes it" in finding.detail


def test_a_relay_says_nothing_of_where_it_sends_to(tmp_path: Path) -> None:
    """The HTTP client would log every endpoint."""
    main(["check", "--config", str(tmp_path / "none.toml")])
    for name in ("httpx2", "httpcore2"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)
