"""Two versions of an agreement side by side."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from firmware.protocol.encoding import b64u, sha256_hex, unb64u
from firmware.protocol.register.entries import Agreement
from relay.agency.agreement_versions import MAX_PIECES, Piece, compare, compare_texts
from tests.fakes.sample_keys import OTHER_P256_KEY, OTHER_X25519_KEY, P256_KEY, X25519_KEY

OLD = """# Agreement

Recordings are kept for 30 days. They are shared with nobody.
One. Two. Three. Four. Five. Six. Seven.
Officers answer for them.
"""
NEW = OLD.replace("30 days", "20 days").replace("\nOfficers", "\nNobody sells them.\nOfficers")

THIRD_KEY = b64u((7).to_bytes(32, "little"))


def agreement(text: str, **changes: object) -> Agreement:
    fields: dict[str, object] = {
        "origin": "example.testtown/register",
        "agency": "lakeland",
        "name": "Lakeland Police",
        "version": 1,
        "text_sha256": sha256_hex(text.encode()),
        "vote": "none",
        "gifts": "none",
        "promotion": "none",
        "begins_ms": 1,
        "ends_ms": 1000,
        "signing_key": P256_KEY,
        "sealing_keys": [X25519_KEY, OTHER_X25519_KEY],
        "cells": ["8928308280fffff", "8928308280bffff"],
    }
    return msgspec.convert(fields | changes, Agreement)


def test_what_went_and_came_is_told_a_sentence_at_a_time() -> None:
    pieces = compare_texts(OLD, NEW)
    assert [piece for piece in pieces if piece.kind in ("added", "removed")] == [
        Piece(kind="removed", text="Recordings are kept for 30 days."),
        Piece(kind="added", text="Recordings are kept for 20 days."),
        Piece(kind="added", text="Nobody sells them."),
    ]


def test_what_is_far_from_a_change_is_left_out_and_counted() -> None:
    kinds = [piece.kind for piece in compare_texts(OLD, NEW)]
    assert kinds == [
        *("same", "removed", "added", "same", "same"),
        *("left_out", "same", "same", "added", "same"),
    ]
    (left_out,) = (piece for piece in compare_texts(OLD, NEW) if piece.kind == "left_out")
    assert left_out.count == 4


def test_the_terms_that_changed_are_told() -> None:
    old = agreement(OLD)
    new = agreement(
        NEW,
        version=2,
        name="Lakeland County Police",
        ends_ms=2000,
        sealing_keys=[OTHER_X25519_KEY, THIRD_KEY],
        cells=["8928308280fffff", "89283082803ffff"],
        merged=[["8928308280fffff"]],
    )
    difference = compare(old, OLD, new, NEW)
    assert [(term.name, term.old, term.new) for term in difference.terms] == [
        ("name", "Lakeland Police", "Lakeland County Police"),
        ("ends", 1000, 2000),
    ]
    assert difference.cells_added == ["89283082803ffff"]
    assert difference.cells_removed == ["8928308280bffff"]
    assert difference.keys_added == [sha256_hex(unb64u(THIRD_KEY))[:16]]
    assert difference.keys_removed == [sha256_hex(unb64u(X25519_KEY))[:16]]
    assert difference.is_merging_changed
    assert difference.is_text_changed
    assert difference.has_new_keys


def test_another_signing_key_is_a_new_key() -> None:
    old, new = agreement(OLD), agreement(OLD, signing_key=OTHER_P256_KEY)
    difference = compare(old, OLD, new, OLD)
    assert difference.has_new_keys
    assert [term.name for term in difference.terms] == ["signing_key"]
    assert not difference.is_text_changed


def test_texts_beyond_reading_are_compared_as_a_whole() -> None:
    old, new = "A.\n" * (MAX_PIECES + 1), "B.\n" * (MAX_PIECES + 1)
    assert [piece.kind for piece in compare_texts(old, new)] == ["removed", "added"]


@given(st.text(max_size=200), st.text(max_size=200))
def test_nothing_of_either_text_is_lost(old: str, new: str) -> None:
    pieces = compare_texts(old, new)
    if any(piece.kind == "left_out" for piece in pieces):
        return

    def words(kinds: tuple[str, ...]) -> list[str]:
        return " ".join(piece.text for piece in pieces if piece.kind in kinds).split()

    assert words(("same", "removed")) == old.split()
    assert words(("same", "added")) == new.split()
