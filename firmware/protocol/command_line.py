"""Standard output of every command: a reader that ends early (`… | head`) ends it quietly.

Python turns SIGPIPE into BrokenPipeError, which is an OSError: a command would report it as a fault
of one of its files, or end in a traceback. Here it ends the command instead, with what a shell
reports of a program that SIGPIPE ended; never with 0, for nobody has read the result.
"""

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, ParamSpec, TextIO

P = ParamSpec("P")

ZERO = "0 always means: all that was asked for was done, all of it was checked, and it holds."
"""For every command's help: no command of ours ends with 0 and leaves something out."""
PIPE_CLOSED = 141
"""128 and SIGPIPE's number."""


class PipeClosed(SystemExit):
    """Nobody reads standard output any more. No `except Exception` or OSError may hold it up."""

    def __init__(self) -> None:
        super().__init__(PIPE_CLOSED)


def quiet_pipe(main: Callable[P, int]) -> Callable[P, int]:
    """Wrap a command's `main` so that it ends quietly once its output's reader has gone."""

    @functools.wraps(main)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        usual = sys.stdout
        output = _Output(usual)
        sys.stdout = output
        try:
            try:
                return main(*args, **kwargs)
            finally:
                output.flush()  # also after argparse's SystemExit
        except PipeClosed:
            return PIPE_CLOSED
        finally:
            sys.stdout = usual

    return run


class _Output:
    """A stream whose closed reader raises `PipeClosed`; all else is the stream's own."""

    def __init__(self, stream: TextIO | BinaryIO) -> None:
        self._stream: Any = stream  # Any: text goes to the one, bytes to the other

    @property
    def buffer(self) -> "_Output":
        """The same for bytes."""
        return _Output(self._stream.buffer)

    def write(self, content: str | bytes) -> int:
        """Write text or bytes, whichever the stream takes."""
        with self._open():
            return int(self._stream.write(content))

    def writelines(self, lines: Iterable[str] | Iterable[bytes]) -> None:
        """Write several texts, or bytes."""
        with self._open():
            self._stream.writelines(lines)

    def flush(self) -> None:
        """Write what is buffered."""
        with self._open():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # Any: whatever the stream has
        return getattr(self._stream, name)

    @contextmanager
    def _open(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            _drop(self._stream)
            raise PipeClosed from None


def _drop(stream: TextIO | BinaryIO) -> None:
    """Let what is still buffered go nowhere, or Python would complain at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
