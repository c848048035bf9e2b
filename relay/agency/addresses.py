"""Rules for an agency's official e-mail address. Pure.

A mailbox proves little (administrators compare fingerprints by telephone), but a request to take
part from a free mailbox isn't worth their time, and colleagues are invited at the agency's own
domain only.
"""

import re
from collections.abc import Sequence

from relay.agency.errors import OnboardingRefused

MAX_ADDRESS_CHARS = 254
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])"
)
FREE_MAIL = frozenset({
    "aol.com", "bk.ru", "duck.com", "fastmail.com", "fastmail.fm", "free.fr", "gmail.com",
    "gmx.com", "gmx.de", "gmx.net", "googlemail.com", "hey.com", "hotmail.co.uk", "hotmail.com",
    "hotmail.fr", "hushmail.com", "icloud.com", "inbox.ru", "laposte.net", "libero.it", "list.ru",
    "live.com", "live.se", "mac.com", "mail.com", "mail.ru", "me.com", "msn.com", "naver.com",
    "orange.fr", "outlook.com", "pm.me", "posteo.de", "proton.me", "protonmail.ch",
    "protonmail.com", "qq.com", "rocketmail.com", "spray.se", "t-online.de", "telia.com",
    "tuta.com", "tuta.io", "tutanota.com", "web.de", "yahoo.co.uk", "yahoo.com", "yahoo.fr",
    "yahoo.se", "yandex.com", "yandex.ru", "ymail.com", "zoho.com", "zohomail.eu",
    "126.com", "163.com",
})  # fmt: skip
THROW_AWAY = frozenset({
    "10minutemail.com", "dispostable.com", "fakeinbox.com", "getnada.com", "guerrillamail.com",
    "guerrillamail.net", "mail.tm", "mailinator.com", "maildrop.cc", "mintemail.com", "mohmal.com",
    "mytemp.email", "sharklasers.com", "spam4.me", "temp-mail.org", "tempmail.com",
    "throwawaymail.com", "trashmail.com", "trashmail.de", "yopmail.com", "yopmail.fr",
})  # fmt: skip


def read_address(text: str) -> str:
    """Return an address with its domain in small letters, or raise OnboardingRefused."""
    name, at, domain = text.strip().rpartition("@")
    address = f"{name}{at}{domain.lower()}"
    if len(address) > MAX_ADDRESS_CHARS or _ADDRESS.fullmatch(address) is None:
        raise OnboardingRefused(
            "address", "this is no e-mail address; write it as name@agency.example"
        )
    return address


def domain_of(address: str) -> str:
    """Return the domain: the part behind the @."""
    return address.rpartition("@")[2]


def check_official(address: str, official_domains: Sequence[str]) -> None:
    """Raise OnboardingRefused unless an address is at a domain that may be an agency's."""
    domain = domain_of(address)
    if any(_is_below(domain, other) for other in FREE_MAIL | THROW_AWAY):
        raise OnboardingRefused(
            "free_mail",
            f"anybody can have an address at {domain}: use your agency's own domain",
            domain=domain,
        )
    if official_domains and not any(_is_official(domain, one) for one in official_domains):
        raise OnboardingRefused(
            "not_official",
            f"the operator of this relay takes no agency from {domain}: ask them if it should be",
            domain=domain,
        )


def check_colleague(text: str, email_domain: str | None) -> str:
    """Return a colleague's address at the agency's own domain, or raise OnboardingRefused."""
    address = read_address(text)
    if email_domain is None:
        raise OnboardingRefused(
            "no_domain",
            "your agency has no official e-mail domain here yet: the relay's operator sets it",
        )
    if domain_of(address) != email_domain:
        raise OnboardingRefused(
            "other_domain",
            f"colleagues are invited at {email_domain} only",
            domain=email_domain,
        )
    return address


def _is_official(domain: str, one: str) -> bool:
    return domain.endswith(one) if one.startswith(".") else _is_below(domain, one)


def _is_below(domain: str, other: str) -> bool:
    return domain == other or domain.endswith("." + other)
