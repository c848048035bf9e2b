"""What a step of the first boot is: it knows whether it is done, and does itself."""

from typing import Protocol

from provisioning.first_boot.host import Host


class Step(Protocol):
    """One step. `do` may be cut short by a power cut anywhere, and is then done anew."""

    name: str
    """As the status names it, such as `install`."""

    def is_done(self, host: Host) -> bool:
        """Return whether nothing is left to do, from what is there, not from a mark."""
        ...

    def do(self, host: Host) -> None:
        """Do it, or raise StepFailed or CommandFailed."""
        ...
