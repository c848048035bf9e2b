"""IP networks and addresses as texts: parsing, membership, and keys for rate limits."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

NETWORK_EXPECTED = "networks such as 192.0.2.0/24 or 2001:db8::/32"
ONE_HOME_IPV6 = 64
"""So many bits of an IPv6 address are one customer's; the rest they choose themselves."""
REMEMBERED = 4096
"""Addresses, and networks, that aren't parsed again: each request asks several times."""

_network_of = lru_cache(REMEMBERED)(ip_network)


def parse_network(text: str) -> str:
    """Return a network in CIDR form, or raise ValueError; a lone address is a network of one."""
    network = ip_network(text.strip(), strict=True)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError(text)  # no address would ever be in it
    return str(network)


def is_inside(address: str, networks: Iterable[str]) -> bool:
    """Return whether an address lies in one of the networks; False for a malformed address."""
    parsed = parse_address(address)
    return parsed is not None and any(parsed in _network_of(network) for network in networks)


@lru_cache(REMEMBERED)
def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address; an IPv4-mapped IPv6 address becomes the IPv4 one."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_on_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine itself, by its name or address alone."""
    host = urlsplit(url).hostname or ""
    address = parse_address(host)
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")  # RFC 6761, 6.3


def is_mixed(page: str, fetched: str) -> bool:
    """Return whether fetching one URL from a page at the other is mixed content: it has no TLS."""
    return page.startswith("https://") and not fetched.startswith("https://")


def stranger(address: str) -> str:
    """Return the key by which an address's requests are counted: for IPv6 its /64."""
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((int(parsed), ONE_HOME_IPV6), strict=False))
    return str(parsed or "unknown")
