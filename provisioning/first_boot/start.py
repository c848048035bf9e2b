"""Step "start": the doorbell runs, and the card's secrets are gone.

That it starts by itself from now on is the step before's work, while the root can be written.

Deleting from FAT doesn't erase flash: who digs in the card finds the claim, which is burned, and
the network's key.
"""

from provisioning.first_boot.errors import CommandFailed, StepFailed
from provisioning.first_boot.host import Host
from provisioning.first_boot.network import erase_card_network
from provisioning.first_boot.places import CLAIM, ENROLMENT

UNITS = ("doorward.service", "doorward-reboot.path")
START_S = 180.0


class Start:
    """The step."""

    name = "start"

    def is_done(self, host: Host) -> bool:
        """Return whether it runs, with no secret left."""
        return host.exists(ENROLMENT) and not host.exists(CLAIM) and _is_running(host)

    def do(self, host: Host) -> None:
        """Start the doorbell; then erase, but for the card's claim: the program ends by that."""
        try:
            host.run("systemctl", "start", *UNITS, timeout_s=START_S)
        except CommandFailed as error:
            raise StepFailed("service_failed", str(error), will_retry=True) from error
        erase_card_network(host)
        host.remove(CLAIM)


def _is_running(host: Host) -> bool:
    try:
        host.run("systemctl", "is-active", "--quiet", UNITS[0])
    except CommandFailed:
        return False
    return True
