"""Errors of making a card: each text says what is wrong and what to do."""


class ProvisioningError(Exception):
    """The root of all errors of provisioning."""


class CardDamaged(ProvisioningError):
    """What is on the card, or in the image, contradicts itself."""


class CardFull(ProvisioningError):
    """There is no room left on a partition."""
