"""The one list of what is a public address: whoever connects to a name by others asks it. Pure.

The doorbell asks before it puts a package into the bucket or uses a STUN or TURN server, the relay
before it hands a push over. Two lists would come to differ, and the looser one would be the hole.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# What Python's own list of special addresses (IANA's) lacks in some versions, or calls global:
# protocol assignments, tunnels to an IPv4 address (Teredo, 6to4), documentation.
_SPECIAL = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)


def stood_for(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for (NAT64, mapped), or itself."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address
    return address


def is_this_machine(host: str) -> bool:
    """Return whether a URL's host, a name or an address, leads to this very machine."""
    name = host.removesuffix(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = stood_for(ip_address(name))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def is_public(address: Address) -> bool:
    """Return whether an address is on the public internet; by NAT64 the one that it leads to.

    No name has a mapped address (::ffff:8.8.8.8), so whoever gives one has something in mind.
    """
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_public(stood_for(address))
        if address not in _GLOBAL_UNICAST:
            return False
    is_special = address.is_multicast or any(address in network for network in _SPECIAL)
    return address.is_global and not is_special
