"""What was written and asked in the demo's town in its last six weeks. All of it is invented."""

import io
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw

from firmware.protocol.requests import IncidentType
from relay.feed.rules import Kind, Reason

NAMES = (
    "Alma", "Bertil", "Cora", "Desmond", "Elin", "Farid", "Greta", "Hugo", "Inez", "Jonas", "Kaja",
    "Leon", "Maren", "Nils", "Olga", "Pavel", "Rosa", "Sixten", "Tova", "Umar", "Vera", "Wilma",
    "Ximena", "Yngve", "Zelda",
)  # fmt: skip
"""Neighbours by first name; each of the first 13 has a doorbell."""
MODERATORS = ("Mia Sund", "Bo Ek")
PARTNER, PARTNER_CONTACT, PARTNER_EMAIL = "Warm Porches", "Ida Lind", "ida@porches.example"
CAMPAIGN, RECIPIENT_LIST = "PORCH-26", "lake-morton-autumn"
RECIPIENTS = 12
THEFTS_BY_MONTH = ((9, 3, 5, 21), (6, 2, 4, 11), (5, 1, 2, 7))
"""Households that report, by month and by cell of the districts: a number below five is blank."""
NOTICE = (
    "The footbridge over the lake's outlet is closed for repairs until Friday. "
    "Take the way round by Orchard Road."
)

Ending = Literal["not_used", "withdrawn", "refused", "unanswered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, the place among the agency's cells that it is about, and how it ended."""

    case: str
    incident: IncidentType
    text: str
    place: int
    ending: Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A neighbour's post: how many days ago, in which district, and what a moderator did.

    `refused` and `words` are a moderator's, `appeal` is the author's. With `is_waiting` nobody has
    read it yet.
    """

    days_ago: float
    district: int
    kind: Kind
    text: str
    has_picture: bool = False
    is_waiting: bool = False
    refused: Reason | None = None
    words: str = ""
    appeal: str = ""


WEEKS: tuple[tuple[Asked, ...], ...] = (
    (
        Asked(
            case="LPD-1110", incident="burglary", place=0, ending="not_used",
            text="A garage was broken into, and tools were taken. Did your doorbell see a van?",
        ),
    ),
    (
        Asked(
            case="LPD-1117", incident="vehicle", place=1, ending="not_used",
            text="A parked car was hit, and nobody left a note. Did your doorbell see the crash?",
        ),
        Asked(
            case="LPD-1118", incident="damage", place=2, ending="refused",
            text="Flowers were laid at the prayer hall this morning. Who brought them?",
        ),
    ),
    (),
    (
        Asked(
            case="LPD-1124", incident="theft", place=3, ending="withdrawn",
            text="A bicycle was taken from a yard. Did your doorbell see who rode away on it?",
        ),
        Asked(
            case="LPD-1131", incident="damage", place=4, ending="not_used",
            text="The windows of the bus shelter were broken. Did your doorbell see it happen?",
        ),
        Asked(
            case="LPD-1132", incident="theft", place=0, ending="not_used",
            text="Three parcels were taken within an hour. Did your doorbell see who carried them?",
        ),
    ),
    (),
    (
        Asked(
            case="LPD-1139", incident="traffic", place=2, ending="not_used",
            text="A cyclist was hit at the crossing. Did your doorbell see the car drive on?",
        ),
        Asked(
            case="LPD-1146", incident="burglary", place=1, ending="unanswered",
            text="A cellar door was forced. Did your doorbell see who carried boxes out?",
        ),
        Asked(
            case="LPD-1147", incident="theft", place=3, ending="unanswered",
            text="A pram was taken from a stairwell. Did your doorbell see who pushed it away?",
        ),
    ),
)  # fmt: skip
"""What is asked in each of the six; nothing in two of them."""

POSTS: tuple[Post, ...] = (
    Post(
        days_ago=25.2, district=0, kind="parcel_taken", has_picture=True,
        text="A parcel was taken from our porch. The box lay empty by the hedge two doors down.",
    ),
    Post(
        days_ago=23.6, district=1, kind="hazard",
        text="A big branch hangs over the path between the playground and the shops.",
    ),
    Post(
        days_ago=22.1, district=2, kind="lost",
        text="Our grey cat with a white ear is gone since the evening. She answers to Dust.",
    ),
    Post(
        days_ago=21.4, district=2, kind="found",
        text="A grey cat with a white ear sat in our shed. She is warm and fed: ring at the green "
        "gate by the boat landing.",
    ),
    Post(
        days_ago=19.8, district=0, kind="vehicle",
        text="Somebody backed into the wall of our yard and drove off. There is red paint on it.",
    ),
    Post(
        days_ago=18.3, district=1, kind="hazard", refused="no_act",
        text="Somebody in a dark coat stood at the corner for ten minutes. I didn't like it.",
        words="Nothing was done that neighbours could act on. Write of what happened.",
    ),
    Post(
        days_ago=16.5, district=1, kind="break_in",
        text="The lock of our shed was cut in the night. A lawn mower and two saws are gone.",
    ),
    Post(
        days_ago=14.9, district=0, kind="utility",
        text="The water is brown since the morning. The works say that it clears by the evening.",
    ),
    Post(
        days_ago=13.2, district=2, kind="parcel_taken", has_picture=True,
        text="Two parcels were taken from the stairs between lunch and three o'clock.",
    ),
    Post(
        days_ago=11.7, district=1, kind="fire",
        text="A bin burned behind the sports hall. The fire brigade has put it out.",
    ),
    Post(
        days_ago=9.4, district=0, kind="found", has_picture=True,
        text="A child's blue scooter lay in our hedge. It leans against the fence by the library.",
    ),
    Post(
        days_ago=7.3, district=2, kind="hazard",
        text="The street lamp by the boat landing is dark, and the steps are slippery there.",
    ),
    Post(
        days_ago=5.6, district=0, kind="parcel_taken",
        text="A parcel was opened on our porch, and what was in it taken. The card was left.",
    ),
    Post(
        days_ago=3.1, district=1, kind="hazard", refused="advertising",
        text="There are nails on the path behind the new houses. My cousin mends tyres cheaply.",
        words="The last sentence offers a service. Leave it out, and write the post again.",
        appeal="I only meant to help whoever rode over them. The nails are a danger all the same.",
    ),
    Post(
        days_ago=2.2, district=2, kind="vehicle",
        text="The mirror of our parked car was broken off in the night, on the lake's side.",
    ),
    Post(
        days_ago=0.4, district=0, kind="lost", is_waiting=True,
        text="I lost a brown wallet between the library and the square. Only the photos matter.",
    ),
    Post(
        days_ago=0.2, district=1, kind="parcel_taken", is_waiting=True, has_picture=True,
        text="A parcel was taken from our stairs. The wrapping lay on the lawn.",
    ),
)  # fmt: skip


def drawn_picture(number: int) -> bytes:
    """Return a drawing of a porch with an open box, and a part that was painted over (PNG)."""
    image = Image.new(
        "RGB", (800, 600), ((196, 214, 226), (224, 206, 184), (188, 200, 188))[number % 3]
    )
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 430, 800, 600), fill=(122, 112, 100))
    for step in range(3):
        pen.rectangle((180 - 40 * step, 400 + 40 * step, 620 + 40 * step, 440 + 40 * step),
                      fill=(168 - 12 * step, 158 - 12 * step, 146 - 12 * step))  # fmt: skip
    pen.rectangle((320, 120, 480, 400), fill=(92, 58 + 20 * (number % 3), 48))
    pen.ellipse((455, 255, 470, 270), fill=(220, 190, 90))
    left = 200 + 90 * (number % 3)
    pen.polygon([(left, 360), (left + 130, 360), (left + 120, 440), (left + 10, 440)],
                fill=(186, 140, 86))  # fmt: skip
    pen.polygon([(left, 360), (left - 30, 330), (left + 50, 335), (left + 65, 360)],
                fill=(206, 162, 104))  # fmt: skip
    pen.rectangle((500, 160, 600, 220), fill=(0, 0, 0))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
