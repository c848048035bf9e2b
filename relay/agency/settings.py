"""An agency's settings for its officers: allowed networks and a session limit.

From which networks they may come, and how many sessions each may have. Nothing here opens
anything: it only closes. Where colleagues' mail is, the relay's administrators set.
"""

from dataclasses import replace
from typing import Literal

from relay.base.clock import Clock
from relay.base.networks import is_inside, parse_network
from relay.errors import RelayError
from relay.store import agency_settings
from relay.store.agency_settings import AgencySettings
from relay.store.database import Database

MAX_NETWORKS = 50
MOST_SESSIONS = 50

SettingsReason = Literal["network", "too_many", "own_address", "max_sessions"]


class SettingsRefused(RelayError):
    """A setting is invalid; `value` is the offending part."""

    def __init__(self, reason: SettingsReason, detail: str, value: str = "") -> None:
        super().__init__(detail)
        self.reason: SettingsReason = reason
        self.value = value


class Settings:
    """Reads and changes agencies' settings."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(self, agency: str) -> AgencySettings:
        """Return an agency's settings."""
        async with self._database.read() as tx:
            return await agency_settings.find(tx, agency)

    async def change(self, agency: str, *, networks: str, max_sessions: str, address: str) -> None:
        """Set networks (one a line) and sessions (empty: no limit), or raise SettingsRefused.

        `address` is where the administrator is: they can't lock themselves out.
        """
        found = _networks_in(networks)
        if found and not is_inside(address, found):
            words = f"your own address ({address}) is in none of these networks"
            raise SettingsRefused("own_address", words, address)
        limit = _limit_in(max_sessions)
        async with self._database.begin() as tx:
            before = await agency_settings.find(tx, agency)
            after = replace(before, networks=found, max_sessions=limit)
            await agency_settings.put(tx, after, self._clock.wall_ms())


def _networks_in(text: str) -> tuple[str, ...]:
    lines = text.replace(",", " ").split()
    if len(lines) > MAX_NETWORKS:
        raise SettingsRefused("too_many", f"at most {MAX_NETWORKS} networks", str(MAX_NETWORKS))
    found: list[str] = []
    for line in lines:
        try:
            found.append(parse_network(line))
        except ValueError as error:
            words = f"{line[:60]!r} is no network; write 192.0.2.0/24 or 2001:db8::/32"
            raise SettingsRefused("network", words, line[:60]) from error
    return tuple(dict.fromkeys(found))


def _limit_in(text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MOST_SESSIONS):
        words = f"a number from 1 to {MOST_SESSIONS}, or nothing"
        raise SettingsRefused("max_sessions", words, text[:20])
    return int(text)
