"""Step "enrol": the doorbell makes its keys and gets its certificate for the card's claim.

The installed version does it, as the doorbell's user. A claim is burned by the first use; the same
doorbell may ask again, so a lost reply or a power cut costs a try and nothing else.
"""

import re

from provisioning.first_boot.errors import (
    CommandFailed,
    DocumentRefused,
    StepFailed,
    card_trouble,
)
from provisioning.first_boot.fields import MAX_DOCUMENT_BYTES
from provisioning.first_boot.host import Host
from provisioning.first_boot.invitation import parse_claim
from provisioning.first_boot.places import (
    CARD_CLAIM,
    CLAIM,
    DOORBELL_TOML,
    ENROLMENT,
    PROGRAM,
    USER,
)

ENROL_S = 120.0
_REFUSALS = {
    "used": "claim_used",
    "expired": "claim_expired",
    "claim": "claim_unknown",
    "revoked": "doorbell_revoked",
    "relay_url": "claim_refused",
}
"""The relay's codes (relay.fleet.enrolment, firmware.enrolment.client), and ours for them."""


class Enrol:
    """The step."""

    name = "enrol"

    def is_done(self, host: Host) -> bool:
        """Return whether the doorbell has its certificate."""
        return host.exists(ENROLMENT)

    def do(self, host: Host) -> None:
        """Hand the claim to the doorbell's user, and let the doorbell enrol."""
        data = host.read(CARD_CLAIM, max_bytes=MAX_DOCUMENT_BYTES)
        if data is None:
            raise StepFailed("no_claim", "the card has no claim", will_retry=False)
        try:
            claim = parse_claim(data)
        except DocumentRefused as error:
            raise StepFailed("claim_refused", str(error), will_retry=False) from error
        host.write(CLAIM, claim.encode(), 0o600)
        host.run("chown", f"{USER}:{USER}", str(host.path(CLAIM)))
        try:
            host.run(
                "runuser", "-u", USER, "--", PROGRAM, "--config", DOORBELL_TOML, "enrol",
                timeout_s=ENROL_S,
            )  # fmt: skip
        except CommandFailed as error:
            raise _failure(error.message) from error


def _failure(message: str) -> StepFailed:
    """Return what a refusal means; `message` is what `doorward-firmware enrol` printed."""
    refused = re.search(r"the claim can't be used \(([a-z0-9_]{1,40})\)", message)
    last = message.splitlines()[-1][-300:] if message else "enrolment failed"
    if refused is not None:
        code = _REFUSALS.get(refused[1], "claim_refused")
        return StepFailed(code, last, will_retry=False)
    if "not yet valid" in message or "certificate has expired" in message:
        return StepFailed("no_time", last, will_retry=True)
    if "certificate verify failed" in message.lower():
        return StepFailed("relay_not_trusted", last, will_retry=True)
    if "another CA than the claim names" in message:
        return StepFailed("relay_other", last, will_retry=False)
    if "didn't answer" in message:
        return StepFailed("relay_away", last, will_retry=True)
    return StepFailed(card_trouble(message) or "enrol_failed", last, will_retry=True)
