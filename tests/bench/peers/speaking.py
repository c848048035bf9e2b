"""How a sender talks to who started it: lines of JSON.

hears  {"offer": SDP}    says {"answer": SDP}: one viewer more
hears  {"leave": true}   says {"left": true}: all viewers are gone
hears  {"handed": true}  says {"handed": [[picture's number, monotonic ns], …]} since the last
says   {"is_ready": true} at the start, and ends with its input
"""

import json
import sys
from typing import Protocol

from tests.bench.peers.film_camera import FilmCamera


class Sender(Protocol):
    """One engine. Both calls come from the thread that reads."""

    def answer(self, offer: str) -> str:
        """Take one more viewer; return the SDP answer."""
        ...

    def leave(self) -> None:
        """Let all viewers go."""
        ...


def obey(sender: Sender, camera: FilmCamera) -> None:
    """Do what is said until the input ends."""
    _say(is_ready=True)
    for line in sys.stdin:
        said = json.loads(line)
        if "offer" in said:
            _say(answer=sender.answer(said["offer"]))
        elif "leave" in said:
            sender.leave()
            _say(left=True)
        elif "handed" in said:
            _say(handed=camera.take_handed())
    sender.leave()


def _say(**words: object) -> None:
    print(json.dumps(words), flush=True)
