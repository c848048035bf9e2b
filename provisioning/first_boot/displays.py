"""Displays of a first boot beside its page: the screen at HDMI, the board's own light, the voice.

Each shows what it can and never holds up the set-up: a board without screen or voice is the usual
one. None was seen on a Pi.
"""

import logging
import os
from pathlib import Path
from typing import Protocol

from provisioning.first_boot.errors import CommandFailed
from provisioning.first_boot.host import Host
from provisioning.first_boot.places import CURRENT, USER
from provisioning.first_boot.status import Status
from provisioning.first_boot.texts import LANGUAGES, advice_for, step_name

TERMINAL = "/dev/tty1"
FONT = "/usr/share/consolefonts/Uni2-TerminusBold32x16.psf.gz"
LIGHTS = ("/sys/class/leds/ACT", "/sys/class/leds/led0")
BLINKS_MS = {"working": (500, 500), "waiting": (100, 150)}
"""On and off, for each state but the last, which is a steady light."""
VOICE = "/usr/bin/espeak-ng"
HELP_S = 30.0
PANEL_UNIT = "doorward-first-boot-light"
PANEL_STATES = {"working": "starting", "waiting": "trouble"}
"""Names of firmware.panel.light.LightState."""
CLEAR = "\x1b[2J\x1b[H"

log = logging.getLogger(__name__)


class Display(Protocol):
    """What shows the status."""

    def show(self, status: Status) -> None:
        """Show it; raise nothing."""
        ...


class Screen:
    """The text screen at HDMI."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._is_large = False

    def show(self, status: Status) -> None:
        """Clear the screen, and write in large letters what is so and what to do."""
        terminal = self._host.path(TERMINAL)
        if not terminal.exists():
            return
        if not self._is_large and self._host.exists(FONT):
            self._is_large = True
            _try(self._host, "setfont", "-C", TERMINAL, FONT)
        text = CLEAR + "\r\n".join(lines_of(status)) + "\r\n"
        try:
            _write_at_once(terminal, text.encode())
        except OSError:
            log.info("the screen can't be written")


class BoardLight:
    """The board's green light, blinked by the kernel."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def show(self, status: Status) -> None:
        """Blink slowly while it works, fast while it waits for a person; steady at the end."""
        for place in LIGHTS:
            light = self._host.path(place)
            if not light.exists():
                continue
            blink = BLINKS_MS.get(status.state)
            try:
                (light / "trigger").write_text("default-on" if blink is None else "timer")
                if blink is not None:
                    (light / "delay_on").write_text(str(blink[0]))
                    (light / "delay_off").write_text(str(blink[1]))
            except OSError:
                log.info("the board's light can't be set")


class Voice:
    """The loudspeaker, if espeak-ng is installed: says the address, and what to do."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._spoken = ""

    def show(self, status: Status) -> None:
        """Say it once each time that it changes."""
        if not self._host.exists(VOICE):
            return
        english = advice_for(status.code, "en")
        words = f"{english.text} {english.advice}" if status.state != "working" else ""
        if status.address:
            words += f" My address is {status.address.replace('.', ' dot ')}."
        if words and words != self._spoken:
            self._spoken = words
            _try(
                self._host, "systemd-run", "--no-block", "--collect", VOICE, "-v", "en",
                words.strip(),
            )  # fmt: skip


class PanelLight:
    """The doorbell's own light, once Doorward is installed, and until the doorbell starts."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._shown: str | None = None

    def show(self, status: Status) -> None:
        """Show the doorbell's own signals: it starts, or something is wrong."""
        is_over = not status.version or status.step == "start" or status.state == "done"
        wanted = None if is_over else PANEL_STATES[status.state]
        if wanted == self._shown:
            return
        if self._shown is not None:
            _try(self._host, "systemctl", "stop", PANEL_UNIT)
        self._shown = wanted
        if wanted is not None:
            _try(
                self._host, "systemd-run", "--collect", f"--unit={PANEL_UNIT}",
                f"--property=User={USER}", "--property=SupplementaryGroups=gpio",
                "--property=RuntimeDirectory=first-boot-light",
                "--property=WorkingDirectory=/run/first-boot-light",
                f"{CURRENT}/bin/python", "-I", "-m", "firmware.panel.setup_light", wanted,
            )  # fmt: skip


def lines_of(status: Status) -> list[str]:
    """Return the screen's lines: both languages, the address, and whom the doorbell believes."""
    lines = ["DOORWARD", ""]
    for language in LANGUAGES:
        advice = advice_for(status.code, language)
        lines += [advice.text, advice.advice]
        if status.state != "done":
            lines += [step_name(status.step, language)]
        lines += [""]
    if status.detail:
        lines += [_plain(status.detail), ""]
    for notice in status.notices:
        lines += [advice_for(notice.code, "en").text, advice_for(notice.code, "en").advice]
    if status.address:
        lines += [f"http://{status.name}.local   http://{status.address}"]
    lines += [
        f"relay     {_plain(status.anchors.relay)}",
        f"register  {_plain(status.anchors.register_origin)}",
        f"policy    {status.anchors.policy_digest}",
        f"board     {_plain(status.board)}",
    ]
    return lines


def _write_at_once(terminal: Path, data: bytes) -> None:
    """Write without waiting: a terminal that Scroll Lock stopped holds nothing up."""
    descriptor = os.open(terminal, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def _plain(text: str) -> str:
    """Return a text without what a terminal obeys."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _try(host: Host, *command: str) -> None:
    try:
        host.run(*command, timeout_s=HELP_S)
    except CommandFailed as error:
        log.info("%s", error)
