"""Step "start": the doorbell runs, and starts by itself from now on; the card's secrets are gone.

Deleting from FAT doesn't erase flash: who digs in the card finds the claim, which is burned, and
the network's key.
"""

from provisioning.first_boot.host import Host
from provisioning.first_boot.network import erase_card_network
from provisioning.first_boot.places import CLAIM
from provisioning.first_boot.settings import SYSTEM_UNITS

SERVICE = "doorward.service"
UNITS = (SERVICE, "doorward-reboot.path", "doorward-invitation.service")
WANTED = f"{SYSTEM_UNITS}/multi-user.target.wants/{SERVICE}"
CLOUD_INIT_OFF = "/etc/cloud/cloud-init.disabled"
START_S = 180.0


class Start:
    """The step."""

    name = "start"

    def is_done(self, host: Host) -> bool:
        """Return whether the service starts at every boot, and no secret is left."""
        return host.exists(WANTED) and host.exists(CLOUD_INIT_OFF) and not host.exists(CLAIM)

    def do(self, host: Host) -> None:
        """Start the doorbell; then erase, but for the card's claim: the program ends by that."""
        host.run("systemctl", "enable", *UNITS)
        host.run("systemctl", "start", *UNITS[:2], timeout_s=START_S)
        erase_card_network(host)
        host.remove(CLAIM)
        if not host.exists(CLOUD_INIT_OFF):
            host.write(CLOUD_INIT_OFF, b"")
