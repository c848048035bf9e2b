"""Wi-Fi codes: an owner's, sealed and signed, and the usual `WIFI:` text."""

import contextlib
import json
from pathlib import Path

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st

from firmware.protocol import wifi
from firmware.protocol.encoding import WireError, b64u, unb64u
from firmware.protocol.grants import Owner
from firmware.protocol.passkeys import PasskeyKey
from tests.fakes.wifi_codes import (
    DEVICE,
    HOME,
    NOW_MS,
    WifiPeople,
    owners_passkey,
    sign_with_more,
)
from tests.story.authenticator import SoftPasskey

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "wifi.json").read_text())
PEOPLE = WifiPeople()
CODE = PEOPLE.code()
PASSWORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=63)
SSIDS = st.binary(min_size=1, max_size=32)


def opened(text: str, people: WifiPeople = PEOPLE) -> wifi.OwnersNetwork:
    """Take a code as a doorbell does; WireError unless its owner signed it for it."""
    code = wifi.parse_wifi_code(text)
    if wifi.signer_of_wifi(code, device=DEVICE, owners=[people.owner]) is None:
        raise WireError("no owner signed it")
    return wifi.open_wifi(code, device=DEVICE, private_key=people.sealing_private_key)


def test_an_owners_code_opens_to_the_network_that_was_sealed() -> None:
    assert opened(CODE).network == HOME
    assert opened(CODE).expires_ms == NOW_MS + 60_000


@given(ssid=SSIDS, password=PASSWORDS, is_wpa3=st.booleans(), is_hidden=st.booleans())
def test_every_name_and_password_survives_the_form_of_fixed_size(
    ssid: bytes, password: str, is_wpa3: bool, is_hidden: bool
) -> None:
    network = wifi.WifiNetwork(
        ssid=ssid,
        key=password if is_wpa3 else "0f" * 32,
        security="wpa3" if is_wpa3 else "wpa2",
        country="SE",
        is_hidden=is_hidden,
    )
    wanted = wifi.OwnersNetwork(id=bytes(16), expires_ms=NOW_MS, network=network)
    plain = wifi.plain_of(wanted)
    assert len(plain) == wifi.PLAIN_BYTES
    assert wifi.parse_plain(plain) == wanted


@given(st.binary(min_size=120, max_size=120))
def test_a_plain_form_that_is_taken_is_the_only_one_of_its_network(plain: bytes) -> None:
    try:
        wanted = wifi.parse_plain(plain)
    except WireError:
        return
    assert wifi.plain_of(wanted) == plain


@pytest.mark.parametrize("position", [22, 23, 55, 119], ids=["flag", "size", "name", "key"])
def test_refuses_a_plain_form_that_is_not_the_one_of_its_network(position: int) -> None:
    wanted = wifi.OwnersNetwork(id=bytes(16), expires_ms=NOW_MS, network=HOME)
    plain = bytearray(wifi.plain_of(wanted))
    plain[position] |= 0x40
    with pytest.raises(WireError):
        wifi.parse_plain(bytes(plain))


def test_a_code_fits_into_what_a_phone_shows() -> None:
    code = segno.make_qr(CODE, error="l", boost_error=False)
    assert int(code.version) <= 12
    rsa = SoftPasskey.create(rp_id="home.example", origin="https://home.example", rsa_bits=2048)
    assert int(segno.make_qr(WifiPeople(passkey=rsa).code(), error="l").version) <= 17


def test_client_data_of_another_browser_holds_as_well() -> None:
    assert opened(PEOPLE.code(sign=sign_with_more)).network == HOME


def test_a_windows_passkey_holds_as_well() -> None:
    rsa = SoftPasskey.create(rp_id="home.example", origin="https://home.example", rsa_bits=2048)
    people = WifiPeople(passkey=rsa)
    assert opened(people.code(), people).network == HOME


def test_refuses_a_code_with_any_byte_altered() -> None:
    raw = unb64u(CODE.removeprefix(wifi.WIFI_PREFIX))
    for position in range(len(raw)):
        altered = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        with pytest.raises(WireError):
            opened(wifi.WIFI_PREFIX + b64u(altered))


def test_refuses_a_code_that_is_cut_anywhere() -> None:
    for size in range(len(CODE)):
        with pytest.raises(WireError):
            opened(CODE[:size])


def test_refuses_a_code_for_another_doorbell() -> None:
    with pytest.raises(WireError, match="no owner"):
        opened(PEOPLE.code(device="d" * 20))
    with pytest.raises(WireError, match="sealed to another"):
        opened(PEOPLE.code(sealed_to="d" * 20))


def test_refuses_a_code_of_anybody_elses_passkey() -> None:
    with pytest.raises(WireError, match="no owner"):
        opened(PEOPLE.code(signed_by=owners_passkey()))


def test_refuses_a_signature_that_was_made_for_another_purpose() -> None:
    def sign_a_login(passkey: SoftPasskey, digest: bytes):
        del digest
        return passkey.sign(bytes(32))

    with pytest.raises(WireError, match="no owner"):
        opened(PEOPLE.code(sign=sign_a_login))


def test_the_relays_site_is_bound_by_the_code_though_it_does_not_name_it() -> None:
    known = PEOPLE.owner.passkey
    moved = PasskeyKey(
        credential_id=known.credential_id,
        public_key=known.public_key,
        rp_id="elsewhere.example",
        origin=known.origin,
    )
    owners = [Owner(name="Mary", passkey=moved)]
    code = wifi.parse_wifi_code(CODE)
    assert wifi.signer_of_wifi(code, device=DEVICE, owners=owners) is None


@pytest.mark.parametrize("code", VECTORS["codes"], ids=["usual", "with more"])
def test_the_vectors_codes_hold(code: dict) -> None:
    owner = Owner(name="Mary", passkey=PasskeyKey(**VECTORS["passkey"]))
    read = wifi.parse_wifi_code(code["text"])
    assert read.text == code["text"]
    assert wifi.wifi_document(VECTORS["device"], read.sealed).decode() == code["document"]
    assert wifi.signer_of_wifi(read, device=VECTORS["device"], owners=[owner]) == owner
    private = unb64u(VECTORS["sealing_private_key"])
    found = wifi.open_wifi(read, device=VECTORS["device"], private_key=private)
    assert found.network.ssid == b"IEEE"


def test_the_derived_key_is_the_standards() -> None:
    # IEEE 802.11i, H.4.3: SSID "IEEE", passphrase "password".
    assert wifi.derived_key(b"IEEE", "password") == (
        "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"
    )
    assert bytes.fromhex(VECTORS["plain"][0]["hex"])[57:89].hex() == wifi.derived_key(
        b"IEEE", "password"
    )


@pytest.mark.parametrize("text", VECTORS["usual"]["good"])
def test_takes_the_usual_text(text: str) -> None:
    network = wifi.parse_wifi_text(text)
    assert network.ssid
    assert network.security in {"wpa2", "wpa3"}


@pytest.mark.parametrize("text", VECTORS["usual"]["bad"])
def test_refuses_what_is_not_the_usual_text_or_not_safe(text: str) -> None:
    with pytest.raises(wifi.WifiInvalid):
        wifi.parse_wifi_text(text)


def test_says_why_open_and_wep_networks_are_not_joined() -> None:
    with pytest.raises(wifi.WifiInvalid, match="everybody could listen in"):
        wifi.parse_wifi_text("WIFI:T:nopass;S:Cafe;;")
    with pytest.raises(wifi.WifiInvalid, match="WEP, which is broken"):
        wifi.parse_wifi_text("WIFI:T:WEP;S:Old;P:abcde;;")


@given(name=st.text(min_size=1, max_size=8), password=PASSWORDS)
def test_escapes_in_the_usual_text_are_undone(name: str, password: str) -> None:
    def escaped(text: str) -> str:
        return "".join("\\" + char if char in '\\;,:"' else char for char in text)

    text = f"WIFI:T:SAE;S:{escaped(name)};P:{escaped(password)};;"
    if not name.isprintable():
        with pytest.raises(wifi.WifiInvalid):
            wifi.parse_wifi_text(text)
        return
    network = wifi.parse_wifi_text(text)
    assert (network.ssid, network.key) == (name.encode(), password)


@given(st.text(max_size=60))
def test_rubbish_is_refused_and_nothing_else_happens(text: str) -> None:
    for parse in (wifi.parse_wifi_text, wifi.parse_wifi_code):
        for prefix in ("", "WIFI:", "DWW1:"):
            with contextlib.suppress(WireError):
                parse(prefix + text)


def test_a_networks_name_is_shown_on_one_line_and_turns_nothing() -> None:
    assert wifi.ssid_text(b"a\nb\xff\xe2\x80\xae") == "a\ufffdb\ufffd\ufffd"


def test_a_key_is_not_in_a_networks_repr() -> None:
    assert HOME.key not in repr(HOME)
