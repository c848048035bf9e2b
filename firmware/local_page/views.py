"""Views of a statement that waits for the owner's confirmation, and of a release under way.

Facts only, as people should know them; how they are worded is templates/ and locales/. Each kind
has the tag that its terms have on the wire (protocol/decisions.py, protocol/grants.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from firmware.protocol.requests import IncidentType
from firmware.protocol.rights import Holder, What

Polygon = Sequence[tuple[int, int]]
"""Corners in thousandths of the picture, from the top left."""

ClipTime = Literal["trusted", "corrected", "unknown"]
"""Whether the clock was right when it was recorded, was set right later, or neither."""

Stage = Literal[
    "held", "logging", "sealing", "sending", "sent", "failed", "damaged", "not_taken", "taken_back"
]
UNDER_WAY: tuple[Stage, ...] = ("held", "logging", "sealing", "sending")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipView:
    """The part of one clip that would leave, and nothing else of it.

    `is_whole`: nothing of the recording stays behind. `problem` says why it can't be given at all.
    """

    from_ms: int
    to_ms: int
    is_whole: bool
    has_sound: bool
    time: ClipTime
    problem: str = ""

    @property
    def duration_ms(self) -> int:
        """Length of the part."""
        return self.to_ms - self.from_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantView:
    """Recordings that an owner would give to an agency."""

    kind: ClassVar = "grant"
    agency: str
    """The name that the public register gives it."""
    is_example: bool
    """The register is an invented town's."""
    officer_name: str
    cosigner_name: str
    contact: str
    case_number: str
    incident_type: IncidentType
    text: str
    reason: str
    danger: str
    asked_from_ms: int
    asked_to_ms: int
    retention_days: int
    onward_sharing: Literal["none", "prosecutor"]
    clips: Sequence[ClipView]
    has_audio: bool
    given_name: str
    given_address: str
    given_contact: str
    key_fingerprints: Sequence[str]
    """Of every key that will be able to open it."""
    not_after_ms: int
    """If the public log doesn't hold it by then, nothing leaves."""

    @property
    def duration_ms(self) -> int:
        """Length of all parts that would leave."""
        return sum(clip.duration_ms for clip in self.clips)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOwnerView:
    """A person who would be an owner too: four words to tap in their own app."""

    kind: ClassVar = "add_owner"
    name: str
    words: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerRemovalView:
    """An owner who would be none any more."""

    kind: ClassVar = "remove_owner"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RightView:
    """A right that would be given: four words to tap there, or six of pasted keys to compare."""

    kind: ClassVar = "give_right"
    name: str
    words: Sequence[str]
    holder: Holder
    what: Sequence[What]
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyView:
    """An agency that was refused for ever and would be allowed to ask again."""

    kind: ClassVar = "refuse_agency"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChangeView:
    """One changed setting, by its name in `OwnerSettings`; of zones, how many there are."""

    name: str
    before: str | int | bool
    after: str | int | bool
    is_wider: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsView:
    """Settings under which more would be recorded, kept, heard or told than before."""

    kind: ClassVar = "settings"
    picture_size: tuple[int, int]
    """Width and height as shown; masks are in thousandths of each."""
    removed: Sequence[Polygon]
    kept: Sequence[Polygon]
    added: Sequence[Polygon]
    zones: Sequence[tuple[str, Polygon]]
    """The motion zones that would count then, where they would change."""
    changes: Sequence[SettingChangeView]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryView:
    """A recovery key that would count; the paper with it shows the same six words."""

    kind: ClassVar = "recovery"
    words: Sequence[str]
    is_first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverView:
    """A key that would confirm the signer's statements; its program shows the same six words."""

    kind: ClassVar = "add_approver"
    name: str
    words: Sequence[str]


Asked = (
    GrantView
    | NewOwnerView
    | OwnerRemovalView
    | RightView
    | AgencyView
    | SettingsView
    | RecoveryView
    | ApproverView
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementView:
    """A checked statement that waits for the owner's confirmation here."""

    digest: str
    signer_name: str
    expires_ms: int
    asked: Asked

    @property
    def kind(self) -> str:
        """The tag of the statement's terms."""
        return self.asked.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseProgress:
    """Progress of a confirmed grant.

    "held": nothing of it has left, and it goes with its batch's end (`goes_ms`); "logging": it
    waits for the public log; "sealing"; "sending": sealed, and waits for the bucket
    or is on its way; "sent": all of it is there; "failed": a check failed after all, and nothing
    left; "damaged": storage damaged it before it was sent; "not_taken": the relay refused
    the package, and it was deleted; "taken_back".
    """

    digest: str
    agency: str
    stage: Stage
    confirmed_ms: int
    goes_ms: int
    not_after_ms: int
