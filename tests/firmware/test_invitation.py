"""A doorbell's invitation: as a file, as a link, and what isn't one."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.protocol.claims import Claim, Invitation, InvitedNetwork, read_invitation
from firmware.protocol.encoding import WireError, b64u, unb64u

VECTORS = Path(__file__).parents[1] / "vectors" / "invitations.json"
VECTOR = json.loads(VECTORS.read_text("utf-8"))[1]
CLAIM = Claim(
    relay_url="https://relay.example", secret="c2VjcmV0", ca_sha256="0" * 64, expires_ms=1
)
lines = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
invitations = st.builds(
    Invitation,
    claim=st.just(CLAIM),
    policy=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    network=st.none()
    | st.builds(
        InvitedNetwork,
        ssid=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=32),
        key=st.from_regex(r"\A[ -~]{8,64}\Z"),
        security=st.sampled_from(["wpa2", "wpa3"]),
        country=st.sampled_from(["SE", "US"]),
        is_hidden=st.booleans(),
    ),
    name=st.none() | st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?\Z"),
    ssh_key=st.none() | lines,
)


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text("utf-8")))
def test_the_golden_ones_read_alike_from_file_and_link(vector: dict[str, str]):
    invitation = read_invitation(vector["file"].encode() + b"\n")
    assert invitation == read_invitation(vector["link"].encode())
    assert (invitation.encode().decode(), invitation.link) == (vector["file"], vector["link"])


@given(invitations)
def test_each_is_itself_again_as_file_and_as_link(invitation: Invitation):
    assert read_invitation(invitation.encode()) == invitation
    assert read_invitation(invitation.link.encode()) == invitation


@given(st.sampled_from([VECTOR["link"], VECTOR["file"]]), st.integers(1, 600))
def test_a_cut_link_and_a_cut_file_are_refused(text: str, lacking: int):
    with pytest.raises(WireError):
        read_invitation(text[:-lacking].encode())


@given(st.integers(0, len(VECTOR["file"]) - 1), st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_another_invitation(place: int, bit: int):
    data = bytearray(VECTOR["file"].encode())
    data[place] ^= 1 << bit
    try:
        read = read_invitation(bytes(data))
    except WireError:
        return
    assert read != read_invitation(VECTOR["file"].encode())


def test_a_link_to_another_relay_than_the_claims_is_refused():
    link = Invitation(claim=CLAIM).link.replace("relay.example", "relay.evil")
    with pytest.raises(WireError, match="another relay"):
        read_invitation(link.encode())


CHANGES: list[tuple[str, Any]] = [
    ("v", 2),
    ("claim", None),
    ("extra", 1),
    ("policy", "x" * 33_000),
    ("name", "-door"),
    ("name", "door\n"),
    ("name", "x" * 64),
    ("ssh_key", "ssh-ed25519 A\nroot"),
    ("network", {"ssid": "x", "key": "short", "security": "wpa2", "country": "SE"}),
    ("network", {"ssid": "x", "key": "long enough", "security": "wep", "country": "SE"}),
    ("network", {"ssid": "x", "key": "long enough", "security": "wpa3", "country": "se"}),
    ("network", {"ssid": "", "key": "long enough", "security": "wpa3", "country": "SE"}),
]


@pytest.mark.parametrize(("name", "value"), CHANGES)
def test_what_is_no_invitation_is_refused_in_both_forms(name: str, value: object):
    data = json.dumps({**json.loads(VECTOR["file"]), name: value}).encode()
    link = "https://relay.example/doorbell#" + b64u(data)
    for text in (data, link.encode()):
        with pytest.raises(WireError, match="Invitation"):
            read_invitation(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"https://relay.example/",
        b"http",
        "https://ö.example/doorbell#e30".encode(),
        b"x" * 99_999,
    ],
)
def test_other_text_is_refused(text: bytes):
    with pytest.raises(WireError):
        read_invitation(text)


def test_a_link_shows_nothing_of_the_claim_to_the_relay():
    address, _, fragment = VECTOR["link"].partition("#")
    assert address == "https://relay.example/doorbell"
    assert json.loads(unb64u(fragment)) == json.loads(VECTOR["file"])
