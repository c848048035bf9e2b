"""Whether a doorbell has an owner, as a test says."""


class Owned:
    """Implements `firmware.system.ownership.Ownership`."""

    def __init__(self, is_owned: bool = True) -> None:
        self.is_owned = is_owned

    def has_owner(self) -> bool:
        return self.is_owned
