"""Refusals by the relay to log a release or to deliver a package, and their texts for owners.

A refusal is the relay's claim and proves nothing: it only ends a release that would otherwise wait
for ever. A hostile relay may have kept the package that it refuses. After a refusal for a limit the
release is retried, until `WAIT_FOR_LIMIT_MS` after the owner's confirmation.
"""

from typing import Final

from firmware.consent.facts import Refusal
from firmware.protocol.commands import NotLoggedReason, NotTakenReason

WAIT_FOR_LIMIT_MS: Final = 24 * 3600 * 1000
NOT_LOGGED: Final[dict[NotLoggedReason, Refusal]] = {
    "owner": Refusal(
        reason="relay",
        detail="the relay doesn't log it, since it knows of no owner of this doorbell",
    ),
    "cloned": Refusal(
        reason="card_cloned",
        detail="the relay doesn't log it, since another device uses a copy of this doorbell's card",
    ),
    "limit": Refusal(
        reason="relay_limit",
        detail="the relay logs only so many releases of one doorbell a day: give it again tomorrow",
    ),
}
NOT_TAKEN: Final[dict[NotTakenReason, Refusal]] = {
    "form": Refusal(
        reason="relay", detail="the relay didn't take the package, since its figures don't fit"
    ),
    "request": Refusal(
        reason="relay",
        detail="the relay didn't take the package: by then it knew no such request that stood",
    ),
    "agreement": Refusal(
        reason="relay",
        detail="the relay didn't deliver the package: by then the agency had no agreement",
    ),
    "owner": Refusal(
        reason="relay",
        detail="the relay didn't take the package, since it knows of no owner of this doorbell",
    ),
    "cloned": Refusal(
        reason="card_cloned",
        detail="the relay didn't take the package, since another device uses a copy of this"
        " doorbell's card",
    ),
    "enrolled_late": Refusal(
        reason="relay_enrolled_late",
        detail="the relay didn't take the package, since this doorbell was enrolled only after the"
        " requested time began",
    ),
    "not_logged": Refusal(
        reason="relay",
        detail="the relay didn't take the package: it finds no logged release for it",
    ),
    "spent": Refusal(
        reason="relay",
        detail="the relay didn't take the package, since it has another in its place",
    ),
    "limit": Refusal(
        reason="relay_limit",
        detail="for a day the relay took no more packages of this doorbell: give it again",
    ),
    "request_limit": Refusal(
        reason="relay_limit",
        detail="the relay takes only so many packages of one doorbell for one request",
    ),
}
