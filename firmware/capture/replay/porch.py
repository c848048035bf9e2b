"""The drawing of the porch scene: a path to a street, and a visitor who comes and goes.

Only Pillow; called once for the backdrop and once for each pose and size of the visitor.
Sizes are fractions of the picture's height, so that any resolution looks alike.
"""

import math
import random
from typing import Literal

from PIL import Image, ImageDraw, ImageFilter

Pose = Literal["step_left", "pass", "step_right", "stand", "press"]
FIGURE_PIXELS = 960
"""Height of the figure as it is drawn, before it is scaled to where it stands."""
HORIZON = 0.40
_FIGURE_BOX = (520, FIGURE_PIXELS + 40)

Colour = tuple[int, int, int]
Pen = ImageDraw.ImageDraw


def backdrop(width: int, height: int) -> Image.Image:
    """Return the empty porch."""
    scale = 2
    image = Image.new("RGB", (width * scale, height * scale))
    pen = ImageDraw.Draw(image)
    w, h = float(width * scale), float(height * scale)
    _sky(pen, w, h)
    _street(pen, w, h)
    _garden(pen, w, h)
    _porch(pen, w, h)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def visitor(pose: Pose, *, is_facing: bool) -> Image.Image:
    """Return the visitor on a transparent ground, feet at the bottom, FIGURE_PIXELS tall."""
    image = Image.new("RGBA", _FIGURE_BOX, (0, 0, 0, 0))
    shadow = Image.new("RGBA", _FIGURE_BOX, (0, 0, 0, 0))
    ImageDraw.Draw(shadow).ellipse((110, 930, 410, 996), fill=(10, 20, 15, 130))
    image.alpha_composite(shadow.filter(ImageFilter.GaussianBlur(8)))
    pen = ImageDraw.Draw(image)
    _legs(pen, pose)
    _arms(pen, pose, is_facing=is_facing)
    _body(pen, is_facing=is_facing)
    _head(pen, is_facing=is_facing)
    if pose == "press":
        _reaching_arm(pen)
    return image


def _sky(pen: Pen, w: float, h: float) -> None:
    horizon = HORIZON * h
    for row in range(int(horizon)):
        part = row / horizon
        shade = (int(126 + 90 * part), int(168 + 55 * part), int(208 + 22 * part))
        pen.line((0, row, w, row), fill=shade)


def _street(pen: Pen, w: float, h: float) -> None:
    """Houses and trees on the other side, pavement and road."""
    horizon = HORIZON * h
    for left, wide, high, colour in (
        (0.02, 0.20, 0.20, (176, 98, 78)),
        (0.30, 0.24, 0.23, (222, 204, 170)),
        (0.62, 0.19, 0.19, (120, 138, 146)),
        (0.86, 0.20, 0.22, (196, 170, 140)),
    ):
        _house(pen, left * w, horizon, wide * w, high * h, colour)
    dice = random.Random(7)  # noqa: S311 (leaves, not keys)
    for x, size in ((0.25, 0.13), (0.57, 0.16), (0.83, 0.12)):
        _tree(pen, x * w, horizon, size * h, dice)
    pen.rectangle((0, horizon, w, 0.445 * h), fill=(150, 150, 148))
    pen.rectangle((0, 0.415 * h, w, 0.438 * h), fill=(92, 95, 100))
    pen.rectangle((0, 0.445 * h, w, 0.452 * h), fill=(182, 180, 172))


def _house(pen: Pen, x: float, base: float, wide: float, high: float, colour: Colour) -> None:
    roof = (colour[0] // 2, colour[1] // 2, colour[2] // 2 + 8)
    wall_top = base - high * 0.62
    pen.rectangle((x, wall_top, x + wide, base), fill=colour)
    pen.polygon(
        ((x - wide * 0.06, wall_top), (x + wide / 2, base - high), (x + wide * 1.06, wall_top)),
        fill=roof,
    )
    for column in (0.14, 0.42, 0.70):
        left, top = x + wide * column, base - high * 0.48
        pen.rectangle((left, top, left + wide * 0.15, top + high * 0.2), fill=(240, 238, 226))
        pen.rectangle(
            (left + wide * 0.012, top + high * 0.015, left + wide * 0.138, top + high * 0.185),
            fill=(70, 92, 112),
        )


def _tree(pen: Pen, x: float, base: float, size: float, dice: random.Random) -> None:
    pen.rectangle((x - size * 0.05, base - size * 0.6, x + size * 0.05, base), fill=(92, 70, 52))
    for _ in range(60):
        angle, reach = dice.uniform(0, 2 * math.pi), dice.uniform(0, 0.42) * size
        cx = x + math.cos(angle) * reach
        cy = base - size * 0.95 + math.sin(angle) * reach * 0.85
        radius = size * dice.uniform(0.08, 0.16)
        green = dice.randint(88, 132)
        shade = (green - 48, green, green - 56)
        pen.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=shade)


def _garden(pen: Pen, w: float, h: float) -> None:
    """Lawn, hedges and the path with its slabs."""
    top, bottom = 0.452 * h, h
    for row in range(int(top), int(bottom)):
        part = (row - top) / (bottom - top)
        pen.line((0, row, w, row), fill=(int(104 - 30 * part), int(146 - 34 * part), 72))
    dice = random.Random(11)  # noqa: S311 (grass, not keys)
    for _ in range(2600):
        x, part = dice.uniform(0, w), dice.random() ** 0.6
        y = top + part * (bottom - top)
        pen.line((x, y, x + 2, y - 4 - 10 * part), fill=(86, dice.randint(116, 150), 62), width=2)
    edges = ((0.585, 0.625), (0.30, 0.78))
    far, near = edges
    pen.polygon(
        ((far[0] * w, top), (far[1] * w, top), (near[1] * w, bottom), (near[0] * w, bottom)),
        fill=(190, 180, 164),
    )
    for distance in (9, 7, 5.6, 4.6, 3.8, 3.2, 2.7, 2.3, 2.0):
        part = (1.04 / distance - 1.04 / 20) / (0.6 - 1.04 / 20)
        y = top + part * (bottom - top)
        left = (far[0] + (near[0] - far[0]) * part) * w
        right = (far[1] + (near[1] - far[1]) * part) * w
        pen.line((left, y, right, y), fill=(150, 140, 126), width=max(2, int(8 * part)))


def _porch(pen: Pen, w: float, h: float) -> None:
    """What is near: boards, a post with its rail, a planter, the wall beside the bell."""
    boards = 0.885 * h
    pen.rectangle((0, boards, w, h), fill=(140, 108, 80))
    for column in range(-6, 15):
        pen.line(
            (w * (0.44 + (column - 4) * 0.055), boards, w * (0.44 + (column - 4) * 0.16), h),
            fill=(110, 82, 60),
            width=4,
        )
    pen.rectangle((0, boards - 0.008 * h, w, boards), fill=(98, 72, 52))
    white, shade = (236, 234, 228), (204, 200, 192)
    pen.rectangle((0.085 * w, 0, 0.125 * w, 0.93 * h), fill=white)
    pen.rectangle((0.115 * w, 0, 0.125 * w, 0.93 * h), fill=shade)
    pen.rectangle((0, 0.60 * h, 0.09 * w, 0.625 * h), fill=white)
    for x in (0.012, 0.036, 0.060):
        pen.rectangle((x * w, 0.625 * h, (x + 0.01) * w, 0.89 * h), fill=shade)
    pen.rectangle((0.93 * w, 0, w, h), fill=(88, 56, 48))
    for row in range(26):
        y = row * h / 26
        pen.line((0.93 * w, y, w, y), fill=(122, 92, 82), width=4)
    pen.polygon(
        ((0.80 * w, 0.80 * h), (0.91 * w, 0.80 * h), (0.895 * w, 0.95 * h), (0.815 * w, 0.95 * h)),
        fill=(178, 96, 66),
    )
    dice = random.Random(3)  # noqa: S311 (flowers, not keys)
    for _ in range(70):
        x, y = dice.gauss(0.855, 0.025) * w, dice.gauss(0.755, 0.025) * h
        radius = dice.uniform(0.006, 0.014) * h
        shades: tuple[Colour, ...] = ((70, 112, 62), (84, 130, 70), (214, 92, 110), (232, 190, 84))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=dice.choice(shades))


SKIN, HAIR, COAT, COAT_DARK = (214, 166, 138), (62, 44, 34), (196, 122, 44), (160, 96, 34)
TROUSERS, TROUSERS_DARK, SHOE = (52, 64, 92), (42, 52, 76), (36, 30, 30)


def _legs(pen: Pen, pose: Pose) -> None:
    left, right = {"step_left": (0, 46), "step_right": (46, 0)}.get(pose, (0, 0))
    for x, lift, colour in ((206, left, TROUSERS), (268, right, TROUSERS_DARK)):
        pen.rounded_rectangle((x, 540, x + 56, 920 - lift), 22, fill=colour)
        pen.rounded_rectangle((x - 8, 905 - lift, x + 62, 958 - lift), 20, fill=SHOE)


def _arms(pen: Pen, pose: Pose, *, is_facing: bool) -> None:
    swing = {"step_left": 26, "step_right": -26}.get(pose, 0)
    hand = SKIN if is_facing else COAT_DARK
    for x, shift in ((136, swing), (338, -swing)):
        if pose == "press" and x == 136:
            continue
        pen.rounded_rectangle((x, 270, x + 50, 540 - shift), 25, fill=COAT_DARK)
        pen.ellipse((x + 2, 515 - shift, x + 48, 575 - shift), fill=hand)


def _body(pen: Pen, *, is_facing: bool) -> None:
    pen.rounded_rectangle((172, 240, 350, 600), 48, fill=COAT)
    if is_facing:
        pen.line((261, 262, 261, 596), fill=COAT_DARK, width=5)
        pen.polygon(((226, 236), (296, 236), (261, 296)), fill=(232, 226, 214))
        for y in (360, 440, 520):
            pen.ellipse((268, y, 280, y + 12), fill=(92, 56, 26))
    else:
        pen.rounded_rectangle((196, 274, 326, 486), 34, fill=(74, 92, 84))
        pen.rounded_rectangle((214, 380, 308, 468), 20, fill=(60, 76, 70))


def _head(pen: Pen, *, is_facing: bool) -> None:
    pen.rounded_rectangle((238, 190, 284, 262), 18, fill=SKIN)
    if not is_facing:
        pen.ellipse((194, 42, 328, 216), fill=HAIR)
        return
    pen.ellipse((198, 50, 324, 222), fill=SKIN)
    pen.chord((192, 38, 330, 190), 180, 360, fill=HAIR)
    pen.rectangle((198, 108, 324, 118), fill=HAIR)
    for x in (228, 282):
        pen.ellipse((x, 132, x + 14, 146), fill=(40, 34, 32))
    pen.arc((236, 156, 286, 194), 25, 155, fill=(150, 82, 74), width=5)
    pen.line((261, 146, 257, 168), fill=(186, 136, 112), width=5)


def _reaching_arm(pen: Pen) -> None:
    """The arm that reaches for the bell, just below the camera."""
    pen.line((166, 300, 214, 470), fill=COAT_DARK, width=58)
    pen.line((214, 470, 300, 560), fill=COAT_DARK, width=62)
    pen.ellipse((272, 528, 356, 606), fill=SKIN)
    pen.line((330, 580, 352, 636), fill=SKIN, width=24)
