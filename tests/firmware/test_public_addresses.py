"""The one list of public addresses, which bucket, push and ICE servers share."""

import ast
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.outbox.bucket import Place, may_be_at
from firmware.protocol.public_addresses import is_public, stood_for

HOME = Path(__file__).parents[2]
BUCKET = Place(scheme="http", host="bucket.test", port=80)
THE_LIST = Path("firmware/protocol/public_addresses.py")
AT_HOME = Path("firmware/companion/owner/pairing.py")
"""It asks whether an address is private, for a warning alone; nothing is reached by it."""


@pytest.mark.parametrize(
    "text",
    [
        "192.88.99.1",
        "192.0.0.8",
        "2001:0:4136:e378::1",
        "2002:808:808::1",
        "2001:db8::1",
        "3fff::1",
    ],
)
def test_what_only_python_calls_global_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@given(st.ip_addresses())
def test_the_bucket_is_no_less_strict_than_a_push(address: IPv4Address | IPv6Address) -> None:
    assert may_be_at(BUCKET, address) == is_public(address)


@given(st.ip_addresses(v=4))
def test_nat64_is_as_public_as_what_it_leads_to(address: IPv4Address) -> None:
    translated = ip_network("64:ff9b::/96")[int(address)]
    assert is_public(translated) == is_public(address)
    assert stood_for(translated) == address


def test_nobody_else_has_a_list() -> None:
    """Whoever asks Python's own `is_global` has begun a second one."""
    asking = {
        path.relative_to(HOME)
        for folder in ("firmware", "relay", "provisioning")
        for path in (HOME / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("is_global", "is_private")
    }
    assert asking == {THE_LIST, AT_HOME}
