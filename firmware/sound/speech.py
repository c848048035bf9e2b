"""Speech synthesis by espeak-ng, a child process that gets the text by its standard input.

espeak-ng is GPL, so it is never linked or imported, only started, where the owner installed it.
The text never appears in a list of processes, and markup is never switched on (`-m`). The program
gets nothing of our environment, and little memory, time and disk. What comes back is checked like
anything from outside, and bounded in time and size.
"""

import asyncio
import contextlib
import os
import resource
from collections.abc import Mapping, Sequence
from typing import Literal

from firmware.sound.errors import ReplyRefused, SoundMissing, SpeechFailed
from firmware.sound.sounds import Sound, parse_wav

Language = Literal["en", "sv"]

MAX_TEXT_CHARS = 200
MAX_SPEECH_S = 30.0
MAX_WAV_BYTES = 2 * 1024 * 1024
SPEAK_S = 10.0
WORDS_PER_MINUTE = 150
FULL_VOLUME = 100
"""As loud as a quick reply; espeak-ng's own `-a`."""
VOICES: Mapping[Language, str] = {"en": "en", "sv": "sv"}
LIMITS = {
    resource.RLIMIT_AS: 512 * 1024 * 1024,
    resource.RLIMIT_CPU: 10,
    resource.RLIMIT_FSIZE: 64 * 1024,
    resource.RLIMIT_NOFILE: 64,
    resource.RLIMIT_CORE: 0,
}
"""Bytes, seconds, bytes, files, bytes."""
PROGRAM = ("espeak-ng",)


class Speech:
    """Synthesizes speech."""

    def __init__(self, program: Sequence[str] = PROGRAM, *, speak_s: float = SPEAK_S) -> None:
        self._program = tuple(program)
        self._speak_s = speak_s

    async def speak(
        self, text: str, language: Language, *, volume_percent: int = FULL_VOLUME
    ) -> Sound:
        """Return the spoken text; SpeechFailed or SoundMissing if it can't be."""
        spoken = " ".join(text.split())
        if not spoken or len(spoken) > MAX_TEXT_CHARS or not spoken.isprintable():
            raise SpeechFailed(f"a text has 1 to {MAX_TEXT_CHARS} characters that can be printed")
        if language not in VOICES:
            raise SpeechFailed(f"there is no voice for that language; choose {' or '.join(VOICES)}")
        wav = await self._run(spoken.encode(), VOICES[language], volume_percent)
        try:
            return await asyncio.to_thread(parse_wav, wav, max_s=MAX_SPEECH_S)
        except ReplyRefused as error:
            raise SpeechFailed(f"espeak-ng gave no speech that can be used: {error}") from error

    async def _run(self, text: bytes, voice: str, volume_percent: int) -> bytes:
        volume = str(max(0, min(volume_percent, FULL_VOLUME)))
        arguments = ("--stdin", "--stdout", "-b", "1", "-v", voice, "-a", volume)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._program,
                *arguments,
                "-s",
                str(WORDS_PER_MINUTE),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
            )
        except FileNotFoundError as error:
            raise SoundMissing("espeak-ng", "sudo apt install espeak-ng") from error
        except OSError as error:
            raise SpeechFailed(f"espeak-ng can't be started: {error}") from error
        try:
            _limit(process.pid)  # before it has anything to read
            async with asyncio.timeout(self._speak_s):
                wav = await _exchange(process, text)
                code = await process.wait()
        except TimeoutError as error:
            raise SpeechFailed(f"espeak-ng took more than {self._speak_s:.0f} s") from error
        finally:
            await _end(process)
        if code != 0 or len(wav) > MAX_WAV_BYTES:
            raise SpeechFailed(f"espeak-ng gave no speech (exit code {code}); try another text")
        return wav


def _limit(pid: int) -> None:
    """Apply LIMITS to a process; raise SpeechFailed unless that worked, or it has ended already."""
    try:
        for what, most in LIMITS.items():
            resource.prlimit(pid, what, (most, most))
    except ProcessLookupError:
        return
    except (OSError, ValueError) as error:
        raise SpeechFailed(f"espeak-ng can't be held to its limits: {error}") from error


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the process and wait for it; if it hangs in the kernel, it is left behind."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await process.wait()


async def _exchange(process: asyncio.subprocess.Process, text: bytes) -> bytes:
    """Write the text and read the output, up to a little more than the limit."""
    assert process.stdin is not None  # both are pipes  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(text)
        await process.stdin.drain()
    process.stdin.close()
    wav = bytearray()
    while len(wav) <= MAX_WAV_BYTES and (piece := await process.stdout.read(65_536)):
        wav += piece
    if len(wav) > MAX_WAV_BYTES:
        process.kill()
    return bytes(wav)
