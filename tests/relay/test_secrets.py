from collections.abc import Iterator

from firmware.protocol.encoding import b64u
from relay.people.secrets import new_secret

DASHED = bytes([0b11111000]) + bytes(31)


def test_a_secret_is_never_taken_for_an_option():
    assert b64u(DASHED).startswith("-")
    drawn: Iterator[bytes] = iter([DASHED, DASHED, bytes(32)])
    assert new_secret(lambda _count: next(drawn)) == b64u(bytes(32))
