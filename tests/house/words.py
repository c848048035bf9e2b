"""Words that names of modules, classes and functions don't use, and what is written instead.

`docs/glossary.md` explains the words that are used. What stands on the wire or in a signed document
keeps its name: `EXEMPT` lists the folders of these documents.

A name is compared as its words in small letters: `KnockDesk` and `knock_desk` are "knock desk".
`anywhere` refuses a word wherever it stands in a name, `alone` as the whole name, `before` as the
first of several.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["module", "class", "function"]

EXEMPT: Final = ("firmware/protocol/", "relay/web/static/js/protocol/")
ALLOWED: Final = {"ServiceManager": "systemd's own term for what starts services"}

STANDARD_NOUNS: Final = frozenset(
    {
        "encoding",
        "onboarding",
        "outgoing",
        "padding",
        "pairing",
        "ring",
        "routing",
        "sealing",
        "signalling",
        "warning",
        "wiring",
    }
)
"""Words in -ing that may end a module's name: nouns of the field, not activities."""
KEPT_MODULES: Final = {
    "firmware/protocol/asking.py": 'documents of the data channel "asked"',
}
"""Modules that keep their names all the same, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The words refused in one kind of name, each with what to write instead."""

    anywhere: Mapping[str, str] = field(default_factory=dict)
    alone: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)


_NOUN = "the noun of what it holds"
_SERVICE = "service, intake or queue, with its noun before it"

REFUSED: Final[Mapping[Kind, Refused]] = {
    "module": Refused(
        anywhere={
            "belongings": "owned_files",
            "book": "store, or projection where it is computed",
            "card": "storage (memory card) or audio_device (sound card)",
            "common": _NOUN,
            "desk": _SERVICE,
            "drip": "pacer",
            "faces": "web_wiring",
            "fanout": "aiortc_sender",
            "followed": "state",
            "happenings": "entries (of a log) or event_groups (in the app)",
            "helpers": _NOUN,
            "keyboard": "prompts",
            "letters": "emails",
            "looks": "preflight",
            "manager": "service, keeper or registry",
            "meter": "stats",
            "own page": "local_page",
            "door page": "local_page",
            "papers": "documents",
            "promise": "deferred_event",
            "promises": "deferred_events",
            "reach": "clip_span",
            "reel": "gop_reader",
            "repeats": "rtx",
            "said": "message or reply",
            "shelf": "clip_source, or tile_store for a log's tiles",
            "shown": "views, or display_checks",
            "spoilt": "recovery",
            "told": "parser, or the noun of what is parsed",
            "tries": "attempts",
            "utils": _NOUN,
            "visit": "session",
            "wound": "simulated",
        },
        alone={
            "answer": "reply, sdp_answer or response_cache",
            "answers": "replies or responses",
            "finding": "check_result",
            "line": "connection or link_estimate",
            "opening": "factories",
            "person": "authenticator",
            "recording": "recorder, or clips",
            "seen": "observed_trees or seen_checkpoints",
            "words": "texts",
        },
    ),
    "class": Refused(
        anywhere={
            "away": "Unreachable",
            "belongings": "OwnedFiles",
            "book": "Projection or Store",
            "common": _NOUN,
            "desk": _SERVICE,
            "drip": "Pacer",
            "fanout": "RtpSender",
            "happening": "Event",
            "happenings": "Entries",
            "helper": _NOUN,
            "letter": "Email",
            "letters": "Emails",
            "manager": "Service, Keeper or Registry",
            "meter": "Stats",
            "papers": "Documents",
            "patience": "Timeouts",
            "promise": "DeferredEvent",
            "promises": "DeferredEvents",
            "reach": "Span",
            "reel": "Gops",
            "repeats": "RtxQueue",
            "said": "Message or Reply",
            "shelf": "Source, or TileStore for a log's tiles",
            "shelves": "Stores",
            "teller": "EventWriter",
            "tellings": "Notices",
            "told": "the noun of what was reported",
            "tries": "Attempts",
            "utils": _NOUN,
            "wound": "Simulated",
        },
        alone={
            "admitting": "Admission",
            "answering": "ResponseCache or RequestAnswer",
            "answers": "Replies",
            "approving": "Approval",
            "around": "Parts, with its noun before it",
            "arrived": "ArrivedPackage",
            "asked": "the noun of what was asked for",
            "asking": "Client, with its noun before it",
            "begun": "the noun of what was started",
            "card": "StorageHealth or AudioDevices",
            "carried": "FollowUp",
            "checking": "FormChecker",
            "confirmed": "Confirmation, with its noun before it",
            "consenting": "ConsentWiring",
            "cosigning": "WitnessSigner",
            "deciding": "HouseholdSettings",
            "door page": "LocalPageClient",
            "ear": "MicrophoneControl",
            "ending": "Revocations",
            "enrolling": "EnrolmentService",
            "film": "PicturePipeline",
            "filming": "CameraWiring",
            "finding": "CheckResult",
            "followed": "RegisterState",
            "forgetting": "Expiry",
            "found": "the noun of what was found",
            "fulfilling": "Executor",
            "gathering": "FactCollector",
            "given": "TrustAnchors",
            "holding": "Holds",
            "how it is": "StatusSources",
            "inviting": "Invitations",
            "kept": "the noun of what is kept",
            "knocking": "KnockWiring",
            "lighting": "StatusLight",
            "line": "Connection, LinkEstimate or ReportLine",
            "looks": "the noun of what is looked at",
            "matched": "RelevantRequest",
            "mouth": "SoundOutput",
            "own page": "DoorbellAdapter",
            "picked": "AgencyMatch",
            "played": "EchoReference",
            "publishing": "Publisher",
            "recovering": "OwnerRecovery",
            "registering": "RegistrationChallenge",
            "releasing": "PackageSealer",
            "replaying": "RegisterReplay",
            "restored": "RestoreResult",
            "saving": "StateSnapshots or DraftAutosave",
            "seen": "Inspection or ObservedTree",
            "shown": "View, with its noun before it",
            "showing": "StatementPresenter",
            "sounding": "SoundWiring",
            "spoilt": "Recovery",
            "stamping": "CosignedTimes",
            "surroundings": "Parts, with its noun before it",
            "sweeping": "PackageSweeper",
            "taker": "StreamSink",
            "tell": "EventPublisher",
            "viewer": "RtpSender",
            "viewing": "LiveView",
            "visit": "LiveSession",
            "wanted": "Options, with its noun before it",
            "watching": "ViewerList or WatcherEvents",
            "wire": "RtpTransport",
            "witnessing": "WitnessStatus",
        },
    ),
    "function": Refused(
        anywhere={
            "book": "store or projection",
            "desk": _SERVICE,
            "drip": "pace",
            "foretell": "announce_before",
            "goodbye": "bye_packet (RTCP BYE)",
            "happenings": "events or entries",
            "lives here": "residents",
            "merged otherwise": "merge_conflicts",
            "picture loss": "pli",
            "promise": "deferred_event",
            "promises": "deferred_events",
            "reel": "gops",
            "shelf": "source or store",
            "takers": "sinks",
            "unkept": "unsaved",
            "untold": "unpublished or pending",
            "vouch": "sign",
            "vouched": "verify",
        },
        before={
            "hear": "on, as in on_nack or on_receiver_report",
            "say": "send, or print at a terminal",
            "tell": "notify, publish or send",
            "told": "the noun of what is returned",
        },
    ),
}
