"""What the doorbell's own page sees of the doorbell.

Translation only: the page in door/ knows nothing of statements, pairing or the library, and none of
them knows how it is shown.
"""

from firmware.own_page.asked_line import AskedLine
from firmware.own_page.asked_requests import AskedRequests
from firmware.own_page.page import HowItIs, OwnPage
from firmware.own_page.progress import Progress
from firmware.own_page.showing import Showing
from firmware.own_page.switches import Ear, KnockSwitch

__all__ = [
    "AskedLine",
    "AskedRequests",
    "Ear",
    "HowItIs",
    "KnockSwitch",
    "OwnPage",
    "Progress",
    "Showing",
]
