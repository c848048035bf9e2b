"""Log policies (c2sp.org/tlog-policy): a log's keys, its witnesses, the quorum.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>...
    quorum <name>
    #charter <origin> <sha256>

The last is ours, and a comment to every other reader of the format: SHA-256 over a register's first
entry, so that nobody can put other administrators in its place.

Stricter than the specification in three points: `quorum none` is refused, because in Doorward
nothing counts that nobody witnessed; so is a log's key as its own witness; and a last line without
its newline, because a text that was cut off there could name another group.
"""

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.checkpoint import Checkpoint, open_checkpoint
from firmware.protocol.tlog.signed_note import (
    KeyKind,
    NoteKey,
    NoteRefused,
    parse_key,
    parse_note,
)

MAX_POLICY_BYTES = 64 * 1024
MAX_LINES_OF_A_KIND = 64

CHARTER = "#charter"

_BLANKS = re.compile("[ \t]+")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_NUMBER = re.compile(r"[1-9][0-9]{0,3}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """A checkpoint that the policy accepts: signed by its log, cosigned by a quorum."""

    checkpoint: Checkpoint
    note: bytes
    aged_ms: int
    """The earliest time by which a quorum had cosigned: it is at least so old."""
    fresh_ms: int
    """The latest time since which a quorum has cosigned: it was the newest then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log; its key's name is its origin."""

    key: NoteKey
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A witness under the policy's own name for it."""

    name: str
    key: NoteKey
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """At least `threshold` of `members`, each the name of a witness or an earlier group."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Logs, witnesses, and how many of them are enough. Made by `parse_policy`."""

    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str
    charters: tuple[tuple[str, str], ...] = ()
    """By origin: SHA-256 over the first entry of a register, in hexadecimal."""

    def charter_of(self, origin: str) -> str | None:
        """Return the digest of a register's first entry, None if the policy doesn't name it."""
        return dict(self.charters).get(origin)

    def check(self, note: bytes, *, origin: str) -> Witnessed:
        """Return the checkpoint of `origin` if its log signed and the quorum is met, or raise."""
        keys = [log.key for log in self.logs if log.key.name == origin]
        if not keys:
            raise NoteRefused(f"the policy knows no log {origin}")
        witnesses = {witness.name: witness.key for witness in self.witnesses}
        opened = open_checkpoint(note, logs=keys, witnesses=witnesses)
        if opened.checkpoint.origin != origin:
            raise NoteRefused(f"this is a checkpoint of {opened.checkpoint.origin}, not {origin}")
        if not self.is_met_by(opened.times_ms.keys()):
            signed = len(opened.times_ms)
            raise NoteRefused(f"{signed} known witnesses cosigned {origin}: that is no quorum")
        by_time = sorted(opened.times_ms.items(), key=lambda item: item[1])
        return Witnessed(
            checkpoint=opened.checkpoint,
            note=note,
            aged_ms=self._time_of_quorum(by_time),
            fresh_ms=self._time_of_quorum(by_time[::-1]),
        )

    def only_known(self, note: bytes) -> bytes:
        """Return the note without the signatures of which nothing is known: so it stays small."""
        parsed = parse_note(note)
        keys = [*(log.key for log in self.logs), *(witness.key for witness in self.witnesses)]
        kept = [one for one in parsed.signatures if any(one.is_of(key) for key in keys)]
        return replace(parsed, signatures=tuple(kept)).encode()

    def is_met_by(self, names: Set[str]) -> bool:
        """Return whether these witnesses alone are a quorum."""
        met = {witness.name for witness in self.witnesses if witness.name in names}
        for group in self.groups:  # each names only what stands before it
            if sum(member in met for member in group.members) >= group.threshold:
                met.add(group.name)
        return self.quorum in met

    def _time_of_quorum(self, times_ms: Sequence[tuple[str, int]]) -> int:
        """Return the time of the cosignature that completes the quorum, in the order given."""
        seen: set[str] = set()
        for name, time_ms in times_ms:
            seen.add(name)
            if self.is_met_by(seen):
                return time_ms
        raise NoteRefused("the quorum isn't met")  # checked before; never a time by accident


def parse_policy(text: bytes) -> Policy:
    """Parse a policy, or raise WireError naming the line."""
    if len(text) > MAX_POLICY_BYTES:
        raise WireError(f"a policy has at most {MAX_POLICY_BYTES} bytes, not {len(text)}")
    if any((octet < 0x20 and octet not in b"\t\n") or octet == 0x7F for octet in text):
        raise WireError("a policy has no control characters but tab and newline")
    if not text.endswith(b"\n"):
        raise WireError("the policy's last line doesn't end with a newline: was it cut off?")
    reading = _Reading()
    for number, line in enumerate(text.decode("utf-8", "surrogateescape").split("\n"), 1):
        words = _BLANKS.split(line.strip(" \t"))
        is_comment = words[0].startswith("#") and words[0] != CHARTER
        if words == [""] or is_comment:
            continue
        try:
            reading.read(words)
        except WireError as error:
            raise WireError(f"the policy's line {number}: {error}") from error
    return reading.policy()


def policy_text(
    *,
    logs: Sequence[NoteKey],
    witnesses: Mapping[str, NoteKey],
    threshold: int,
    urls: Mapping[str, str] | None = None,
    charters: Mapping[str, str] | None = None,
) -> bytes:
    """Return a policy's text: any `threshold` of these witnesses are the quorum.

    `urls` say where the log finds a witness, by its name; `charters` give the digest of a
    register's first entry by its origin.
    """
    lines = [f"log {key.vkey}" for key in logs]
    for name, key in witnesses.items():
        lines.append(" ".join(["witness", name, key.vkey, *_listed((urls or {}).get(name))]))
    lines += [f"group witnesses {threshold} {' '.join(witnesses)}", "quorum witnesses"]
    lines += [f"{CHARTER} {origin} {digest}" for origin, digest in (charters or {}).items()]
    return "".join(line + "\n" for line in lines).encode()


@dataclass(slots=True)
class _Reading:
    """The state of a policy's parser."""

    logs: list[Log] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    quorum: str | None = None
    charters: dict[str, str] = field(default_factory=dict)
    _members: set[str] = field(default_factory=set)

    def read(self, words: Sequence[str]) -> None:
        """Parse one line's words."""
        readers: dict[str, Callable[[Sequence[str]], None]] = {
            "log": self._read_log,
            "witness": self._read_witness,
            "group": self._read_group,
            "quorum": self._read_quorum,
            CHARTER: self._read_charter,
        }
        keyword, *rest = words
        if keyword not in readers:
            raise WireError(f"a line begins with {', '.join(readers)} or #, not {keyword!r}")
        readers[keyword](rest)

    def policy(self) -> Policy:
        """Return what was read, if it is whole."""
        if self.quorum is None:
            raise WireError("a policy has one quorum line")
        unknown = self.charters.keys() - {log.key.name for log in self.logs}
        if unknown:
            raise WireError(f"a charter of a log that the policy doesn't know: {min(unknown)}")
        return Policy(
            logs=tuple(self.logs),
            witnesses=tuple(self.witnesses),
            groups=tuple(self.groups),
            quorum=self.quorum,
            charters=tuple(sorted(self.charters.items())),
        )

    def _read_log(self, words: Sequence[str]) -> None:
        if len(words) not in (1, 2):
            raise WireError("expected: log <vkey> [<url>]")
        _check_room(self.logs)
        self.logs.append(Log(key=self._key(words[0], "ed25519"), url=_url(words[1:])))

    def _read_witness(self, words: Sequence[str]) -> None:
        if len(words) not in (2, 3):
            raise WireError("expected: witness <name> <vkey> [<url>]")
        _check_room(self.witnesses)
        self._check_new(words[0])
        key = self._key(words[1], "cosignature")
        self.witnesses.append(Witness(name=words[0], key=key, url=_url(words[2:])))

    def _read_group(self, words: Sequence[str]) -> None:
        if len(words) < 3:
            raise WireError("expected: group <name> all|any|<k> <name>...")
        _check_room(self.groups)
        name, threshold, *members = words
        self._check_new(name)
        for member in members:
            self._check_known(member)
            if member in self._members:
                raise WireError(f"{member} is a member twice")
            self._members.add(member)
        self.groups.append(
            Group(name=name, threshold=_threshold(threshold, members), members=tuple(members))
        )

    def _read_quorum(self, words: Sequence[str]) -> None:
        if len(words) != 1:
            raise WireError("expected: quorum <name>")
        if self.quorum is not None:
            raise WireError("a policy has one quorum line")
        if words[0] == "none":
            raise WireError("quorum none: nothing counts here that nobody witnessed")
        self._check_known(words[0])
        self.quorum = words[0]

    def _read_charter(self, words: Sequence[str]) -> None:
        if len(words) != 2 or not _DIGEST.match(words[1]):
            raise WireError(f"expected: {CHARTER} <origin> <SHA-256 in hexadecimal>")
        _check_room(list(self.charters))
        origin, digest = words
        if origin in self.charters:
            raise WireError(f"the charter of {origin} is there already")
        self.charters[origin] = digest

    def _key(self, vkey: str, kind: KeyKind) -> NoteKey:
        key = parse_key(vkey)
        if key.kind != kind:
            raise WireError(f"{key.name} is a key of another kind: expected {kind}")
        known = [log.key for log in self.logs] + [witness.key for witness in self.witnesses]
        if any(key.public_key == other.public_key for other in known):
            raise WireError(f"the public key of {key.name} is there already")
        return key

    def _names(self) -> set[str]:
        witnesses = {witness.name for witness in self.witnesses}
        return witnesses | {group.name for group in self.groups}

    def _check_new(self, name: str) -> None:
        if name == "none" or name in self._names():
            raise WireError(f"the name {name!r} is taken")

    def _check_known(self, name: str) -> None:
        if name not in self._names():
            raise WireError(f"no line before this one names {name!r}")


def _threshold(word: str, members: Sequence[str]) -> int:
    if word == "all":
        return len(members)
    if word == "any":
        return 1
    if not _NUMBER.match(word) or int(word) > len(members):
        raise WireError(f"a group wants all, any or 1 to {len(members)} of its members")
    return int(word)


def _listed(url: str | None) -> list[str]:
    return [] if url is None else [url]


def _url(words: Sequence[str]) -> str | None:
    return words[0] if words else None


def _check_room(lines: Sequence[object]) -> None:
    if len(lines) >= MAX_LINES_OF_A_KIND:
        raise WireError(f"a policy has at most {MAX_LINES_OF_A_KIND} lines of a kind")
