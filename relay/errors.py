"""Every error of the relay that a caller may want to tell apart.

RelayError
├── ConfigError           relay.toml says something that can't be
├── InitRefused           `doorward-relay init` would overwrite what is there
├── StoreError            the database can't be used as it is
│   ├── DatabaseLost      its server is gone; what was asked may be asked again
│   ├── SchemaTooOld      it was written by an older Doorward, and isn't brought forward yet
│   ├── SchemaTooNew      it was written by a newer Doorward, and older ones can't use it
│   ├── SchemaInUse       older relays use it, and couldn't after the migration
│   └── PartitionLost     another process works on a partition now
├── ObjectStoreError      the bucket refused, or is out of reach
├── UploadLost            the bucket no longer has an upload or one of its parts
├── BusUnavailable        the broker is out of reach
├── EnrolmentRefused      a claim or CSR doesn't hold
│   └── ClaimReplayed     another key than the first uses a claim
├── HeldElsewhere         another shard has this claim or doorbell
├── ShardMoveRefused      doorbells can't be moved to another shard, or taken, like this
├── RenewalRefused        a doorbell's certificate isn't renewed
├── ClockRefused          a town's clock can't be wound, or not so
├── UnknownDoorbell       no such doorbell is enrolled
├── NotCloned             a doorbell needs no new identity
└── CommandUnanswered     a doorbell didn't answer in time
"""

from collections.abc import Sequence


class RelayError(Exception):
    """Base of all errors; its text is one sentence for people."""


def said(error: BaseException) -> str:
    """Return what an error says, and its kind where it says nothing, as a time-out does.

    `error or "no answer"` doesn't: an error is true, whatever it says.
    """
    if isinstance(error, TimeoutError):
        return str(error) or "it took too long"
    return str(error) or type(error).__name__


class ConfigError(RelayError):
    """A setting is wrong: names the key, its value and what was expected."""

    def __init__(self, key: str, value: object, expected: str, *, sentence: str = "") -> None:
        super().__init__(sentence or f"{key} = {value!r}: expected {expected}")
        self.key = key
        self.value = value
        self.expected = expected


class InitRefused(RelayError):
    """`init` won't touch a folder that already holds a relay."""


class ClockRefused(RelayError):
    """A simulated clock can't be wound like this; `reason` names the cause for translated pages."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class StoreError(RelayError):
    """The database can't be used as it is."""


class DatabaseLost(StoreError):
    """The database's server can't be reached in time, or was lost within a transaction.

    Of one that was lost while it committed nobody knows whether it did.
    """


class SchemaTooOld(StoreError):
    """The database was written by an older version of Doorward."""

    def __init__(self, found: int, known: int, *, is_stop_needed: bool) -> None:
        first = (
            "stop every older relay"
            if is_stop_needed
            else "older relays may go on meanwhile, one after the other is updated"
        )
        super().__init__(
            f"the database has schema version {found}, this Doorward needs {known}: keep a copy of "
            f"it; {first}; then doorward-relay serve brings it forward as it starts, "
            "doorward-relay migrate does so now"
        )
        self.found = found
        self.known = known


class SchemaTooNew(StoreError):
    """The database was written by a newer Doorward, beside which this one can't run."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"the database has schema version {found}, this Doorward knows up to {known}: "
            "install the newer Doorward again, or restore an older backup"
        )
        self.found = found
        self.known = known


class SchemaInUse(StoreError):
    """Older relays are connected to a database that they couldn't use after a migration."""

    def __init__(self, found: int, wanted: int, users: Sequence[str]) -> None:
        super().__init__(
            f"the database has schema version {found}, and older relays can't run beside {wanted}; "
            f"{len(users)} connections of theirs are open ({', '.join(users[:5])}). Stop all older "
            "relays and their commands, then start this one; nothing was changed"
        )
        self.found = found
        self.wanted = wanted
        self.users = tuple(users)


class PartitionLost(StoreError):
    """Another process has claimed a partition, so nothing is written for it here."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"another process works on partition {partition} now")
        self.partition = partition


class ObjectStoreError(RelayError):
    """The bucket refused an operation, or can't be reached."""


class UploadLost(RelayError):
    """The bucket no longer has a multipart upload, or one of its parts: it begins anew."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the bucket no longer has the upload of {key}")
        self.key = key


class BusUnavailable(RelayError):
    """The broker can't be reached."""


class EnrolmentRefused(RelayError):
    """An enrolment is refused; `reason` is one word, the text says what to do."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class ClaimReplayed(EnrolmentRefused):
    """A claim is used again by another key than the first: one of the two isn't who it should be.

    `device` is the doorbell that it enrolled.
    """

    def __init__(self, device: str) -> None:
        super().__init__("used", "another doorbell has used this claim; get a new one")
        self.device = device


class HeldElsewhere(RelayError):
    """A claim, or a doorbell, was moved to another shard; `shard` is its id."""

    def __init__(self, shard: str) -> None:
        super().__init__(f"shard {shard} has it now, another relay of this operator's")
        self.shard = shard


class ShardMoveRefused(RelayError):
    """Doorbells can't be moved to, or taken from, another shard; the text says what to do."""


class RenewalRefused(RelayError):
    """A certificate isn't renewed; `reason` is one word, the text says what to do."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class UnknownDoorbell(RelayError):
    """No doorbell of this id is enrolled here."""


class NotCloned(RelayError):
    """A new identity is given only to a doorbell whose card is known to be in two devices."""


class CommandUnanswered(RelayError):
    """The doorbell didn't answer a command in time."""


PARTS_AWAY = (BusUnavailable, ObjectStoreError, StoreError)
"""What the relay itself needs is out of reach; it may be asked again."""


def public_text(error: Exception) -> str:
    """Return what anybody may read of an error: names and addresses of the relay's parts aren't."""
    match error:
        case StoreError():
            return "the relay's database is out of reach; try again in a minute"
        case BusUnavailable():
            return "the relay's broker is out of reach; try again in a minute"
        case ObjectStoreError():
            return "the relay's bucket is out of reach; try again in a minute"
        case _:
            return str(error)
