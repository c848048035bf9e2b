"""`doorward approve`: the owner's confirmation from anywhere (trust rule R10b).

What waits comes from the doorbell itself, and so do the clips: the very bytes that would leave. The
owner sees all of it here, says yes or no, and their own key signs that for exactly this statement.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import tzinfo
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from firmware.companion.owner.approver import ApproverKey, sign_confirmation
from firmware.companion.owner.asked_client import AskedClient
from firmware.companion.owner.errors import OwnerError
from firmware.companion.owner.waiting_texts import lines_of, title_of
from firmware.companion.viewer.clock import PlayerClock
from firmware.protocol.asking import GrantAsked, WaitingLine

MIN_PREFIX_CHARS = 8
PLAYERS = (("mpv", "--really-quiet"), ("ffplay", "-autoexit", "-loglevel", "error"), ("vlc",))

OpenDesk = Callable[[], AbstractAsyncContextManager[AskedClient]]
Player = list[str] | None
"""A program that plays MP4, and its options; None: there is none."""
Word = Literal["yes", "no", "later"]
W = TypeVar("W", bound=str)


class Terminal(Protocol):
    """The person at the keyboard, as `firmware.companion.owner.prompts.Keyboard`."""

    def say(self, text: str) -> None:
        """Show a text, which may have several lines."""
        ...

    def ask(self, prompt: str) -> str:
        """Return what is typed, or raise OwnerError if nobody is there."""
        ...


class Approval:
    """One run of the program."""

    def __init__(
        self,
        *,
        device: str,
        key: ApproverKey,
        terminal: Terminal,
        folder: Path,
        clock: PlayerClock,
        player: Player,
        zone: tzinfo | None = None,
    ) -> None:
        """`folder` takes the clips, and exists."""
        self._device = device
        self._key = key
        self._terminal = terminal
        self._folder = folder
        self._clock = clock
        self._zone = zone
        self._player = player

    async def run(self, open_desk: OpenDesk, prefix: str = "") -> int:
        """Ask about what waits, one after the other; return how many were answered."""
        async with open_desk() as desk:
            waiting = _chosen((await desk.waiting()).waiting, prefix)
            if not waiting:
                self._terminal.say("Nothing of yours waits for a word.")
                return 0
            answered = 0
            for number, line in enumerate(waiting, 1):
                if len(waiting) > 1:
                    self._terminal.say(f"--- {number} of {len(waiting)} ---")
                answered += await self._ask_about(desk, line)
            return answered

    async def _ask_about(self, desk: AskedClient, line: WaitingLine) -> bool:
        self._terminal.say("\n".join(lines_of(line, self._zone)))
        files = await self._fetch(desk, line)
        word = await asyncio.to_thread(self._word, line, files)
        if word == "later":
            self._terminal.say("It waits on.")
            return False
        signed = await asyncio.to_thread(
            sign_confirmation,
            self._key,
            device=self._device,
            statement_digest=line.statement_digest,
            answer=word,
            now_ms=self._clock.wall_ms(),
        )
        await desk.confirm(signed)
        self._terminal.say(_done(line, word))
        return True

    async def _fetch(self, desk: AskedClient, line: WaitingLine) -> list[Path]:
        """Fetch what would leave: nobody says yes to what they couldn't look at."""
        if not isinstance(line.asked, GrantAsked):
            return []
        files = []
        for number in range(1, len(line.asked.clips) + 1):
            if line.asked.clips[number - 1].problem:
                continue
            self._terminal.say(f"Fetching clip {number} of {len(line.asked.clips)} …")
            data = await desk.part(line.statement_digest, number)
            path = self._folder / f"{line.statement_digest[:8]}-{number}.mp4"
            await asyncio.to_thread(write_clip, path, data)
            files.append(path)
        print_paths(self._terminal, files)
        return files

    def _word(self, line: WaitingLine, files: list[Path]) -> Word:
        is_possible = not _has_problem(line)
        if not is_possible:
            self._terminal.say("This can't be released as it was signed: sign it again in the app.")
        words: tuple[Word, ...] = ("yes", "no", "later") if is_possible else ("no", "later")
        player = self._player if files else None
        return ask_choice(self._terminal, title_of(line), words, files, player)


def ask_choice(
    terminal: Terminal, question: str, words: Sequence[W], files: list[Path], player: Player
) -> W:
    """Return which of the words was typed; where there is a player, `play` plays the files."""
    choice: list[str] = [*words, *(["play"] if player else [])]
    while True:
        typed = terminal.ask(f"{question}? ({'/'.join(choice)}) ").strip().lower()
        for word in words:
            if typed == word:
                return word
        if typed == "play" and player:
            subprocess.run([*player, *map(str, files)], check=False)
        else:
            terminal.say(f"Please type one of: {', '.join(choice)}.")


def print_paths(terminal: Terminal, files: Sequence[Path]) -> None:
    """Say where lies what would leave."""
    lines = ["", "Exactly what would leave, to look at:", *(f"  {path}" for path in files)]
    terminal.say("\n".join(lines))


def player_here() -> Player:
    """Return a program of this machine that plays MP4."""
    for name, *options in PLAYERS:
        found = shutil.which(name)
        if found is not None:
            return [found, *options]
    return None


def _chosen(waiting: list[WaitingLine], prefix: str) -> list[WaitingLine]:
    if not prefix:
        return waiting
    if len(prefix) < MIN_PREFIX_CHARS:
        raise OwnerError(f"give at least {MIN_PREFIX_CHARS} characters of the digest")
    chosen = [line for line in waiting if line.statement_digest.startswith(prefix.lower())]
    if not chosen:
        raise OwnerError(f"nothing of yours with the digest {prefix} waits (any more)")
    return chosen


def _done(line: WaitingLine, word: Word) -> str:
    if word == "no":
        return "Your doorbell took your no. Nothing of it happens."
    if isinstance(line.asked, GrantAsked):
        return (
            "Your doorbell took your yes. It has it logged, then seals and sends it; "
            "the app shows how far."
        )
    return "Your doorbell took your yes. It is done."


def _has_problem(line: WaitingLine) -> bool:
    return isinstance(line.asked, GrantAsked) and any(c.problem for c in line.asked.clips)


def write_clip(path: Path, data: bytes) -> None:
    """Write a clip that nobody else can read, or raise OwnerError."""
    try:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise OwnerError(f"{path} can't be written: {error.strerror}") from error
