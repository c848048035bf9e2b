"""Commands of people and operators, several in one process: starting Python is what takes long.

Each is what somebody would type at their own machine, and goes through the same `main`.
"""

import contextlib
import io
import json
import sys
from collections.abc import Callable, Collection, Sequence

from tests.story.children import run_to_end
from tests.story.settings import StoryError

COMMAND_S = 20.0
"""So long one may take where the machine is busy."""

Command = Sequence[str]


async def run_all(*commands: Command, right: Collection[int] = (0,)) -> list[str]:
    """Run commands in their order; return what each printed.

    StoryError: one didn't end with a code that is `right`.
    """
    words = [sys.executable, "-m", "tests.story.commands", json.dumps([right, *commands])]
    said = await run_to_end(words, timeout_s=30.0 + COMMAND_S * len(commands))
    printed: list[str] = json.loads(said)
    return printed


async def run_one(*command: str, right: Collection[int] = (0,)) -> str:
    """Run one command; return what it printed."""
    (printed,) = await run_all(command, right=right)
    return printed


def main() -> int:
    """Run what the first argument says; print what they printed, as JSON."""
    printed = []
    right, *commands = json.loads(sys.argv[1])
    for name, *arguments in commands:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            code = _main_of(name)(arguments)
        if code not in right:
            command = f"{name} {' '.join(arguments)}"
            print(f"{said.getvalue()}{command}\nended with {code}", file=sys.stderr)
            return 1
        printed.append(said.getvalue())
    print(json.dumps(printed))
    return 0


def _main_of(name: str) -> Callable[[Sequence[str]], int]:
    match name:
        case "doorward-relay":
            from relay.__main__ import main as run
        case "doorward-agency":
            from relay.tools.agency.cli import main as run
        case "doorward-witness":
            from relay.tools.witness.cli import main as run
        case _:
            raise StoryError(f"{name} isn't run here")
    return run


if __name__ == "__main__":
    sys.exit(main())
