"""Polygons with whole corners, as masks and motion zones have them: self-crossing and containment.

Exact, in whole numbers and fractions: whether a mask became smaller decides if somebody must
confirm it.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

Corners = Sequence[Sequence[int]]
_Number = int | Fraction
_Point = tuple[_Number, _Number]


def is_simple(corners: Corners) -> bool:
    """Return whether the outline encloses an area and neither crosses nor touches itself."""
    edges = _edges(corners)
    if len(edges) < 3 or any(start == end for start, end in edges):
        return False
    for index, (start, end) in enumerate(edges):
        following = edges[(index + 1) % len(edges)]
        if _turn(start, end, following[1]) == 0 and _is_back(start, end, following[1]):
            return False  # it runs back on itself
        for other in range(index + 2, len(edges)):
            if (other + 1) % len(edges) != index and _touch((start, end), edges[other]):
                return False
    return True


def covers(outer: Corners, inner: Corners) -> bool:
    """Return whether a simple polygon `outer` covers `inner` wholly; its own outline belongs to it.

    It does if the outline of `inner` never leaves it, since it has no holes.
    """
    edges = _edges(outer)
    for start, end in _edges(inner):
        at = sorted({Fraction(0), Fraction(1), *_crossings((start, end), edges)})
        middles = [(a + b) / 2 for a, b in pairwise(at)]
        if not all(_is_in(_along(start, end, t), edges) for t in (*at, *middles)):
            return False
    return True


def _edges(corners: Corners) -> list[tuple[_Point, _Point]]:
    points: list[_Point] = [(x, y) for x, y in corners]
    return list(zip(points, points[1:] + points[:1], strict=True))


def _turn(a: _Point, b: _Point, c: _Point) -> _Number:
    """Return twice the signed area of a triangle: 0 if the three are on one line."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _is_back(a: _Point, b: _Point, c: _Point) -> bool:
    return (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1]) < 0


def _is_between(a: _Point, b: _Point, p: _Point) -> bool:
    """Return whether a point on the line through a and b is on the edge."""
    return min(a[0], b[0]) <= p[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])


def _touch(one: tuple[_Point, _Point], other: tuple[_Point, _Point]) -> bool:
    (a, b), (c, d) = one, other
    turns = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if (turns[0] > 0) != (turns[1] > 0) and (turns[2] > 0) != (turns[3] > 0) and 0 not in turns:
        return True
    ends = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(turn == 0 and _is_between(*end) for turn, end in zip(turns, ends, strict=True))


def _crossings(
    edge: tuple[_Point, _Point], edges: Sequence[tuple[_Point, _Point]]
) -> list[Fraction]:
    """Return where along an edge, 0 to 1, it may meet the others."""
    (a, b), found = edge, []
    dx, dy = b[0] - a[0], b[1] - a[1]
    for c, d in edges:
        ex, ey = d[0] - c[0], d[1] - c[1]
        across = dx * ey - dy * ex
        if across:
            found.append(Fraction((c[0] - a[0]) * ey - (c[1] - a[1]) * ex) / across)
        elif _turn(a, b, c) == 0 and (dx or dy):
            length = dx * dx + dy * dy
            found += [Fraction((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length for p in (c, d)]
    return [t for t in found if 0 <= t <= 1]


def _along(a: _Point, b: _Point, t: Fraction) -> _Point:
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


def _is_in(point: _Point, edges: Sequence[tuple[_Point, _Point]]) -> bool:
    is_inside = False
    for a, b in edges:
        if _turn(a, b, point) == 0 and _is_between(a, b, point):
            return True
        if (a[1] > point[1]) != (b[1] > point[1]):
            turn = _turn(a, b, point)
            if (turn > 0) == (b[1] > a[1]):
                is_inside = not is_inside
    return is_inside
