"""Where a push may go: to public addresses of an https name, looked up once and checked."""

import contextlib
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.settings import PushConfig
from relay.notify.push_endpoints import (
    EndpointRefused,
    Endpoints,
    EndpointUnresolved,
    is_public,
    resolve,
)
from tests.relay.http_world import named

LOOPBACK = PushConfig(is_loopback_allowed=True)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://push.test/a/b:c-d_e?f=g%20", "https://push.test"),
        ("https://push.test:443/a", "https://push.test"),
        ("https://[2001:4860:4860::8888]/a", "https://[2001:4860:4860::8888]"),
    ],
)
def test_a_push_services_address_is_read(url: str, origin: str) -> None:
    assert Endpoints(PushConfig()).parse(url).origin == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "push.test",
        "http://push.test/a",
        "ftp://push.test/a",
        "https://push.test",
        "https://push.test:8443/a",
        "https://push.test:99999/a",
        "https://user@push.test/a",
        "https://push.test@inside.test/a",
        "https://push.test\\@inside.test/a",
        "https://push.test/a#b",
        "https://push.test/a b",
        "https://push.test/a\r\nX-Other: b",
        "https://push.test/ä",
        "https://Push.test/a",
        "https:///a",
        "https://-push.test/a",
        "https://push.test/" + "a" * 2048,
        "http://localhost/a",
        "http://127.0.0.1/a",
        "//push.test/a",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    with pytest.raises(EndpointRefused):
        Endpoints(PushConfig()).parse(url)


@given(st.text(max_size=60))
def test_no_text_is_taken_for_an_address_that_leads_elsewhere(text: str) -> None:
    with contextlib.suppress(EndpointRefused):
        endpoint = Endpoints(PushConfig()).parse(f"https://push.test{text}/a")
        assert endpoint.host.startswith("push.test")
        assert endpoint.port == 443


def test_an_operator_may_name_the_only_hosts() -> None:
    endpoints = Endpoints(PushConfig(hosts=("fcm.test", "*.wns.test")))
    for host in ("fcm.test", "a.wns.test"):
        endpoints.parse(f"https://{host}/a")
    for host in ("push.test", "xfcm.test", "a.fcm.test", "wns.test", "xwns.test"):
        with pytest.raises(EndpointRefused, match=r"push\.hosts"):
            endpoints.parse(f"https://{host}/a")


INSIDE = [
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.8.8.8", "169.254.169.254"),
    *("172.16.0.1", "192.0.0.8", "192.168.1.1", "198.18.0.1", "224.0.0.1", "255.255.255.255"),
    *("::", "::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "ff02::1"),
    *("::ffff:10.0.0.1", "::ffff:8.8.8.8", "64:ff9b::a00:1", "64:ff9b:1::808:808"),
    *("2002:a00:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1"),
]


@pytest.mark.parametrize("address", INSIDE)
async def test_a_name_that_is_inside_is_refused(address: str) -> None:
    async def inside(_host: str, _port: int) -> list[str]:
        return ["8.8.8.8", address]

    endpoints = Endpoints(PushConfig(), resolve=inside)
    # Seen to fail with the `all(...)` of Endpoints.addresses taken out.
    with pytest.raises(EndpointRefused, match="public internet"):
        await endpoints.addresses(endpoints.parse("https://push.test/a"))


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost"])
async def test_other_ways_to_write_this_machine_are_refused(host: str) -> None:
    """By the system's own resolver, which knows them all; it asks nobody for these."""
    endpoints = Endpoints(PushConfig(), resolve=resolve)
    with pytest.raises(EndpointRefused, match="public internet"):
        await endpoints.addresses(endpoints.parse(f"https://{host}/a"))


@given(st.ip_addresses())
def test_whatever_an_address_stands_for_is_public_too(address: IPv4Address | IPv6Address) -> None:
    if is_public(address) and address not in ip_network("64:ff9b::/96"):
        special = ("private", "loopback", "link_local", "multicast", "unspecified", "reserved")
        assert not any(getattr(address, f"is_{name}") for name in special)
        assert getattr(address, "ipv4_mapped", None) is None


def test_nat64_is_as_public_as_what_it_leads_to() -> None:
    assert is_public(ip_address("64:ff9b::808:808"))
    assert is_public(ip_address("2001:4860:4860::8888"))


@pytest.mark.parametrize("found", [[], None])
async def test_a_name_that_isnt_found_is_said(found: list[str] | None) -> None:
    async def nothing(_host: str, _port: int) -> list[str]:
        if found is None:
            raise OSError("no such name")
        return found

    endpoints = Endpoints(PushConfig(), resolve=nothing)
    with pytest.raises(EndpointUnresolved):
        await endpoints.addresses(endpoints.parse("https://push.test/a"))


async def test_this_machine_only_where_that_is_allowed_and_nothing_but_it() -> None:
    endpoints = Endpoints(LOOPBACK, resolve=named)
    await endpoints.addresses(endpoints.parse("http://127.0.0.1:8410/a"))
    for url in ("http://10.0.0.7/a", "http://push.test/a"):
        with pytest.raises(EndpointRefused):
            endpoints.parse(url)

    async def elsewhere(_host: str, _port: int) -> list[str]:
        return ["10.0.0.7"]

    lying = Endpoints(LOOPBACK, resolve=elsewhere)
    with pytest.raises(EndpointRefused):
        await lying.addresses(lying.parse("http://localhost:8410/a"))
