"""Makes rubbish of what is well formed: bytes, numbers, pieces of JSON and of lines, changed."""

import random
from collections.abc import Sequence

NASTY = (
    b"", b"\0", b"\n", b"\n\n", b"\r\n", b" ", b"-1", b"0", b"00", b"1e999", b"null", b"true",
    b"18446744073709551616", b"99999999999999999999999999", b"{}", b"[]", b'""', b'"\\u0000"',
    b'"\\ud800"', b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\x94 ", b"=", b"==",
    b"/", b"..", b"[" * 2000, b'{"a":' * 1200, b"A" * 5000, b"\xff\xff", b"\xff" * 32, b"\0" * 32,
    b"\x7f\xff\xff\xff",
)  # fmt: skip


def rubbish(seeds: Sequence[bytes], dice: random.Random) -> bytes:
    """Change one of the seeds, one to four times."""
    data = dice.choice(seeds)
    for _ in range(dice.randint(1, 4)):
        data = _changed(data, dice, dice.choice(seeds))
    return data


def _changed(data: bytes, dice: random.Random, other: bytes) -> bytes:
    at = dice.randint(0, len(data))
    end = min(len(data), at + dice.randint(1, 64))
    match dice.randrange(8):
        case 0:  # one byte
            return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]
        case 1:  # one bit
            flipped = bytes([data[at] ^ 1 << dice.randrange(8)]) if at < len(data) else b""
            return data[:at] + flipped + data[at + 1 :]
        case 2:  # a piece away, or twice
            return data[:at] + data[at:end] * dice.choice((0, 2)) + data[end:]
        case 3:  # something nasty, put in or in the place of a piece
            return data[:at] + dice.choice(NASTY) + data[dice.choice((at, end)) :]
        case 4:  # lines in another order
            lines = data.split(b"\n")
            dice.shuffle(lines)
            return b"\n".join(lines)
        case 5:  # a word of JSON for another
            words = data.split(b",")
            words[dice.randrange(len(words))] = dice.choice(words)
            return b",".join(words)
        case 6:  # the end of another
            return data[:at] + other[dice.randint(0, len(other)) :]
        case _:
            return data[:at]
