"""Rules for an agency's official e-mail address. Pure.

A mailbox proves little (administrators compare fingerprints by telephone), but a request to take
part from a free mailbox isn't worth their time, and colleagues are invited at the agency's own
domain only.
"""

import re
from collections.abc import Sequence

from relay.agency.errors import OnboardingRefused
from relay.agency.mail_domains import is_anybodys

MAX_ADDRESS_CHARS = 254
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])"
)


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
    """Raise OnboardingRefused unless an address is at a domain that may be an agency's.

    A list of others' may be wrong about one: the operator's own word goes before it.
    """
    domain = domain_of(address)
    if is_anybodys(domain) and domain not in official_domains:
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
