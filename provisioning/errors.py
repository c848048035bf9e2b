"""Errors of making a card: each text says what is wrong and what to do.

ProvisioningError
├── TargetRefused   this disk isn't overwritten, or none can be told from the others
├── ImageRefused    the image isn't one that a doorbell can be made of
├── CardFailed      the card was pulled, is worn, or isn't what it says
├── CardDamaged     what is on the card, or in the image, contradicts itself
├── CardFull        there is no room left on a partition
└── Cancelled       a person stopped it
"""


class ProvisioningError(Exception):
    """The root of all errors of provisioning."""


class TargetRefused(ProvisioningError):
    """A disk isn't overwritten, or none can be told from the others."""


class ImageRefused(ProvisioningError):
    """An image isn't one that a doorbell can be made of; nothing was written."""


class ReleaseRefused(ProvisioningError):
    """A signed list or bundle isn't signed by enough, or isn't what was signed."""


class LedgerRefused(ProvisioningError):
    """The ledger of a batch can't be kept, or a claim was issued before."""


class CardFailed(ProvisioningError):
    """The card was pulled, is worn, or isn't what it says."""


class CardDamaged(ProvisioningError):
    """What is on the card, or in the image, contradicts itself."""


class CardFull(ProvisioningError):
    """There is no room left on a partition."""


class WishRefused(ProvisioningError):
    """What a person asked for can't be put on a card."""


class WifiRefused(WishRefused):
    """A network's name, password or country can't be right, or isn't safe."""


class Cancelled(ProvisioningError):
    """A person stopped it; the card is blank."""
