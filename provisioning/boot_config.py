"""Our block of the boot partition's config.txt, from hardware/pins.toml and what was asked for.

Pure. The firmware of the board applies it before the kernel starts: each input has its pull, and
each output is driven low, so that neither chime, lamps nor light are on until Doorward runs. No
overlay is needed for the light: Doorward makes its PWM itself (gpiozero's lgpio), and the `pwm`
overlay would take the pin away from it. Not tried on a Pi.
"""

from typing import Final

from firmware.panel.pins import Pins
from provisioning.errors import CardDamaged, WishRefused

BEGIN: Final = "# --- doorward: begin; changed when the card is customised anew ---"
END: Final = "# --- doorward: end ---"
I2S: Final = frozenset({18, 19, 20, 21})
"""The pins of sound cards on the header, by their BCM numbers."""
_PULLS: Final = {"up": "pu", "down": "pd", "none": "pn"}


def config_lines(pins: Pins, *, has_sound: bool) -> list[str]:
    """Return the block's lines. Raises WishRefused if sound needs a pin that has another use."""
    wired = [pins.bell, pins.service, pins.presence, pins.light, pins.chime, pins.infrared]
    taken = [pin.name for pin in wired if pin.bcm in I2S]
    if has_sound and taken:
        raise WishRefused(
            f"sound needs the pins BCM 18 to 21, and {', '.join(taken)} is wired to one of them; "
            "move it in hardware/pins.toml"
        )
    lines = ["[all]", "camera_auto_detect=1", "dtparam=watchdog=on"]
    if has_sound:
        lines.append("dtparam=i2s=on")
    for pin in sorted(wired, key=lambda pin: pin.bcm):
        if pin.kind == "input":
            lines.append(f"gpio={pin.bcm}=ip,{_PULLS[pin.pull]}")
        else:
            off = "dl" if pin.active == "high" else "dh"
            lines.append(f"gpio={pin.bcm}=op,{off}")
    return lines


def with_block(now: bytes, lines: list[str]) -> bytes:
    """Return config.txt with our block at its end, in the place of an older one."""
    text = now.decode("utf-8", errors="surrogateescape")
    before, begin, rest = text.partition(BEGIN)
    if begin:
        _, end, after = rest.partition(END)
        if not end:
            raise CardDamaged("the card's config.txt has half a block of ours; flash it anew")
        text = before + after.lstrip("\n")
    head = text.rstrip("\n")
    block = "\n".join([BEGIN, *lines, END]) + "\n"
    return ((head + "\n\n" if head else "") + block).encode(errors="surrogateescape")
