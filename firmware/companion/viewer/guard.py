"""The access check of local requests: the local token, no DNS rebinding, no foreign origin.

A page anywhere on the web may send requests to this machine. It doesn't know the token; and
before that is even looked at, Host must be a name that we listen at (DNS rebinding), and Origin,
where a browser sends one, a page of this machine or one that was allowed by name.
"""

import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass

_LOCAL_ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Judges one request by its headers; `hosts` are `host:port`, in lower case."""

    token: str
    hosts: Collection[str]
    origins: Collection[str] = ()
    """Further pages that may play, such as `https://player.example`."""

    def is_host(self, host: str) -> bool:
        """Tell whether the request was meant for us."""
        return host.lower() in self.hosts

    def is_origin(self, origin: str) -> bool:
        """Tell whether a page of this origin may ask."""
        return origin in self.origins or _LOCAL_ORIGIN.fullmatch(origin) is not None

    def is_token(self, token: str) -> bool:
        """Tell whether it is the local token."""
        return hmac.compare_digest(token.encode(), self.token.encode())


def bearer_of(authorization: str) -> str:
    """Return the token of an Authorization header, or an empty text."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
