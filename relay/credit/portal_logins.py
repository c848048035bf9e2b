"""The check that whoever has a login to the portal takes no part in credits (R25).

Officers, moderators and administrators may neither fund, hold codes, earn nor hand out. People are
compared by name and e-mail address, and addresses by the official domains of agencies. It fails
closed: a namesake is refused as well, and told so.
"""

import unicodedata
from collections.abc import Collection

from relay.credit.errors import CreditRefused
from relay.store import credit
from relay.store.database import Transaction

_REMEDY = "Whoever has a login to the agencies' portal takes no part in credits"


async def require_no_portal_login(
    tx: Transaction, *, names: Collection[str], email: str | None = None
) -> None:
    """Raise CreditRefused if one of the names, or the address, is of somebody with a login."""
    people = await credit.portal_people(tx)
    taken = {_folded(name) for name in people.names}
    for name in names:
        if _folded(name) in taken:
            words = f"{name} is the name of somebody with a login to the agencies' portal."
            raise CreditRefused(
                "portal_login", f"{words} {_REMEDY}; a namesake asks the relay's operator."
            )
    if email is None:
        return
    address = email.strip().casefold()
    if address in {one.casefold() for one in people.emails}:
        raise CreditRefused("portal_login", f"{email} has a login to the portal. {_REMEDY}.")
    domain = address.rpartition("@")[2]
    for official in people.domains:
        if domain == official or domain.endswith(f".{official}"):
            raise CreditRefused(
                "portal_login", f"{official} is an agency's official mail domain. {_REMEDY}."
            )


def require_no_agency(name: str, agencies: Collection[str]) -> None:
    """Raise CreditRefused if a partner has the name of an agency."""
    if _folded(name) in {_folded(agency) for agency in agencies}:
        raise CreditRefused("portal_login", f"{name} is an agency with a login. {_REMEDY}.")


def _folded(name: str) -> str:
    """Return a name without differences of case, space and form."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
