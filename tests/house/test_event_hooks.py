"""The relay's event hook is called with the events that it acts on, and with no others."""

import inspect
import re

from relay.app.relay import HOOKED, Relay


def test_the_hook_is_called_with_each_event_that_it_acts_on() -> None:
    acted_on = re.findall(r"case (\w+)\(\)", inspect.getsource(Relay._on_event))
    assert sorted(acted_on) == sorted(kind.__name__ for kind in HOOKED)
