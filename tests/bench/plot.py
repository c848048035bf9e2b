"""Draws what depends on how much work there is: a small SVG, by hand, readable by anybody."""

from collections.abc import Sequence
from html import escape

from tests.bench.measuring import Point, Result

WIDTH, HEIGHT = 480, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 40, 44
OWN, PEER, INK = "#1f6feb", "#8a6d3b", "#57606a"
_ROUND_STEPS = (1.0, 2.0, 5.0, 10.0)

Line = list[tuple[float, float]]


def as_svg(result: Result) -> str:
    """Return the plot of a result's points; both axes begin at 0."""
    own: Line = [(point.size, point.value) for point in result.points]
    peer: Line = [(p.size, p.peer_value) for p in result.points if p.peer_value is not None]
    most_x = max(x for x, _ in own)
    step = _step(max(y for _, y in own + peer))
    most_y = step * -(-max(y for _, y in own + peer) // step)
    parts = [_text(LEFT, 20, f"{result.id}, {result.unit}", "start")]
    for number in range(round(most_y / step) + 1):
        parts += _gridline(number * step, most_y)
    parts += [_tick(point, most_x) for point in result.points]
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 8, result.axis, "end"))
    parts += _line(own, "Doorward", OWN, most_x, most_y)
    if peer:
        parts += _line(peer, "peer", PEER, most_x, most_y)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" font-family="sans-serif" font-size="12">\n'
        f"<title>{escape(result.what)}</title>\n"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _step(most: float) -> float:
    """Return a round distance of gridlines, of which about four fit."""
    scale = 1.0
    while most / scale >= 10:
        scale *= 10
    while most / scale < 1:
        scale /= 10
    return next(step for step in _ROUND_STEPS if most / scale / step <= 4) * scale


def _gridline(value: float, most_y: float) -> list[str]:
    y = _y(value, most_y)
    return [
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d0d7de"/>',
        _text(LEFT - 6, y + 4, f"{value:g}", "end"),
    ]


def _tick(point: Point, most_x: float) -> str:
    return _text(_x(point.size, most_x), HEIGHT - BOTTOM + 16, f"{point.size:g}", "middle")


def _line(line: Line, name: str, colour: str, most_x: float, most_y: float) -> Sequence[str]:
    places = [(_x(x, most_x), _y(y, most_y)) for x, y in line]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    end_x, end_y = places[-1]
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places),
        _text(end_x, end_y - 8, name, "end", colour),
    ]


def _text(x: float, y: float, words: str, anchor: str, colour: str = INK) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(words)}</text>"
    )


def _x(value: float, most: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * value / most


def _y(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / most
