"""The difference between two versions of an agreement: pieces of text, and changed terms.

Pure, and the same for everybody who has the register and the texts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

from firmware.protocol.register.entries import Agreement
from relay.agency.keys import fingerprint_of

MAX_PIECES = 4000
"""Sentences of one text that are compared; more of them are compared by paragraphs."""
CONTEXT = 2
"""So many sentences around a change are shown."""

_END_OF_SENTENCE = re.compile(r"(?<=[.!?…;])[ \t]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A sentence or line that is in both texts, in the newer one only, or in the older one only.

    `left_out` of them that are in both weren't worth showing; `text` is then empty.
    """

    kind: Literal["same", "added", "removed", "left_out"]
    text: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A changed term outside the text: `name` is a word for pages."""

    name: Literal["name", "vote", "begins", "ends", "signing_key"]
    old: str | int
    new: str | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The difference between two versions."""

    old: Agreement
    new: Agreement
    terms: list[Term]
    cells_added: list[str]
    cells_removed: list[str]
    keys_added: list[str]
    """Fingerprints of what evidence is sealed to."""
    keys_removed: list[str]
    is_merging_changed: bool
    pieces: tuple[Piece, ...]

    @property
    def is_text_changed(self) -> bool:
        """Return whether any word of the text differs."""
        return self.old.text_sha256 != self.new.text_sha256

    @property
    def has_new_keys(self) -> bool:
        """Return whether the newer version has new keys for signing or opening."""
        return bool(self.keys_added) or self.old.signing_key != self.new.signing_key


def compare(old: Agreement, old_text: str, new: Agreement, new_text: str) -> Difference:
    """Return the difference from an older version to a newer one."""
    old_keys = [fingerprint_of(key) for key in old.sealing_keys]
    new_keys = [fingerprint_of(key) for key in new.sealing_keys]
    return Difference(
        old=old,
        new=new,
        terms=list(_terms(old, new)),
        cells_added=sorted(set(new.cells) - set(old.cells)),
        cells_removed=sorted(set(old.cells) - set(new.cells)),
        keys_added=[key for key in new_keys if key not in old_keys],
        keys_removed=[key for key in old_keys if key not in new_keys],
        is_merging_changed=_groups(old) != _groups(new),
        pieces=compare_texts(old_text, new_text),
    )


@lru_cache(maxsize=64)
def compare_texts(old_text: str, new_text: str) -> tuple[Piece, ...]:
    """Return the pieces of both texts in reading order, with a little of what stayed the same."""
    old, new = _sentences(old_text), _sentences(new_text)
    if max(len(old), len(new)) > MAX_PIECES:
        old, new = _paragraphs(old_text), _paragraphs(new_text)
    if max(len(old), len(new)) > MAX_PIECES:
        old, new = [old_text], [new_text]
    pieces: list[Piece] = []
    for tag, old_from, old_to, new_from, new_to in SequenceMatcher(None, old, new).get_opcodes():
        if tag == "equal":
            is_first, is_last = new_from == 0, new_to == len(new)
            pieces += _shortened(new[new_from:new_to], is_first=is_first, is_last=is_last)
            continue
        pieces += [Piece(kind="removed", text=text) for text in old[old_from:old_to]]
        pieces += [Piece(kind="added", text=text) for text in new[new_from:new_to]]
    return tuple(pieces)


def _terms(old: Agreement, new: Agreement) -> Iterator[Term]:
    if old.name != new.name:
        yield Term(name="name", old=old.name, new=new.name)
    if old.vote != new.vote:
        yield Term(name="vote", old=old.vote, new=new.vote)
    if old.begins_ms != new.begins_ms:
        yield Term(name="begins", old=old.begins_ms, new=new.begins_ms)
    if old.ends_ms != new.ends_ms:
        yield Term(name="ends", old=old.ends_ms, new=new.ends_ms)
    if old.signing_key != new.signing_key:
        yield Term(
            name="signing_key",
            old=fingerprint_of(old.signing_key),
            new=fingerprint_of(new.signing_key),
        )


def _groups(agreement: Agreement) -> set[frozenset[str]]:
    return {frozenset(group) for group in agreement.merged}


def _sentences(text: str) -> list[str]:
    return [
        sentence
        for line in _paragraphs(text)
        for sentence in _END_OF_SENTENCE.split(line)
        if sentence
    ]


def _paragraphs(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _shortened(texts: list[str], *, is_first: bool, is_last: bool) -> list[Piece]:
    """Return the unchanged text, without the parts that are far from any change."""
    before = 0 if is_first else CONTEXT
    after = 0 if is_last else CONTEXT
    if len(texts) <= before + after + 1:
        return [Piece(kind="same", text=text) for text in texts]
    end = len(texts) - after
    return [
        *(Piece(kind="same", text=text) for text in texts[:before]),
        Piece(kind="left_out", count=end - before),
        *(Piece(kind="same", text=text) for text in texts[end:]),
    ]
