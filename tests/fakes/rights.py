"""Rights as owners sign them, for browsers of tests."""

from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.decisions import GiveRight
from firmware.protocol.rights import DAY_MS, SELF_RENEWED_MS, What, owners_right
from tests.fakes.log_town import NOW_MS


def own_browser(
    keys: BrowserKeys, *, commitment: str | None = None, now_ms: int = NOW_MS
) -> GiveRight:
    """Return the terms that let an owner's own browser in for 30 days."""
    right = owners_right(now_ms)
    return GiveRight(
        browser=keys,
        commitment=commitment,
        holder="owner",
        what=right.what,
        from_ms=0,
        until_ms=now_ms + SELF_RENEWED_MS,
    )


def guest(
    keys: BrowserKeys,
    *what: What,
    commitment: str | None = None,
    from_ms: int = NOW_MS,
    until_ms: int = NOW_MS + 7 * DAY_MS,
) -> GiveRight:
    """Return the terms that let a guest in; without `what` they may watch and hear of rings."""
    return GiveRight(
        browser=keys,
        commitment=commitment,
        pairing_id="a" * 26,
        holder="guest",
        what=sorted(what or ("live", "rings")),
        from_ms=from_ms,
        until_ms=until_ms,
    )


def player(keys: BrowserKeys, *what: What, until_ms: int = NOW_MS + SELF_RENEWED_MS) -> GiveRight:
    """Return the terms that let a player in; without `what` it may only watch."""
    return GiveRight(
        browser=keys,
        holder="player",
        what=sorted(what or ("live",)),
        from_ms=0,
        until_ms=until_ms,
    )
