"""Networks as people name them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.protocol import wifi as protocol
from provisioning.errors import WifiRefused
from provisioning.wifi import derived_key, network_of


@pytest.mark.parametrize(
    ("ssid", "password", "key"),
    [  # IEEE 802.11-2020, J.4.2
        ("IEEE", "password", "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"),
        (
            "ThisIsASSID",
            "ThisIsAPassword",
            "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af",
        ),
    ],
)
def test_the_key_of_the_standards_examples(ssid: str, password: str, key: str):
    assert derived_key(ssid, password) == key
    network = network_of(ssid, password, country="SE")
    assert (network.key, network.security) == (key, "wpa2")
    assert key not in repr(network)


def test_wpa3_needs_the_password_itself():
    assert network_of("Home", "correct horse", country="US", security="wpa3").key == "correct horse"


def test_a_derived_key_is_taken_as_it_is():
    assert network_of("Home", "AB" * 32, country="SE").key == "ab" * 32


@pytest.mark.parametrize(
    ("ssid", "password", "country", "why"),
    [
        ("", "password", "SE", "1 to 32 bytes"),
        ("65; 66;", "password", "SE", "as another"),
        ("x" * 33, "password", "SE", "this has 33"),
        ("å" * 17, "password", "SE", "this has 34"),
        ("a\nb", "password", "SE", "can't be shown"),
        ("a\0b", "password", "SE", "can't be shown"),
        ("\udcff", "password", "SE", "isn't text"),
        ("1;2;", "password", "SE", "read the network's name as another"),
        ("a\\;b", "password", "SE", "read the network's name as another"),
        ("Home", "", "SE", "without a password"),
        ("Home", "short", "SE", "WEP"),
        ("Home", "x" * 64, "SE", "8 to 63"),
        ("Home", "lösenord", "SE", "ASCII"),
        ("Home", "pass\nword", "SE", "ASCII"),
        ("Home", "password", "", "no country"),
        ("Home", "password", "se", "no country"),
        ("Home", "password", "Sweden", "no country"),
    ],
)
def test_what_cant_be_right_is_told(ssid: str, password: str, country: str, why: str):
    with pytest.raises(WifiRefused, match=why) as refused:
        network_of(ssid, password, country=country)
    assert not password or len(password) < 6 or password not in str(refused.value)


@given(st.text(), st.text())
def test_any_text_is_taken_or_refused(ssid: str, password: str):
    try:
        network = network_of(ssid, password, country="SE")
    except WifiRefused:
        return
    assert len(network.ssid.encode()) <= 32
    assert len(network.key) == 64


def test_the_flasher_and_the_doorbell_derive_one_key():
    """The first boot can't import the protocol, so there are two."""
    for name in ("Home", "Sjö 7"):
        assert derived_key(name, "correct horse") == protocol.derived_key(
            name.encode(), "correct horse"
        )
