"""Wiring that can be followed: parts take objects, so that an editor finds what is called."""

import ast

from tests.house.limits import CALLBACKS, CONSTRUCTOR_PARAMETERS
from tests.house.measures import REPOSITORY, callbacks, long_constructors, sources

MOST_LINES_OF_THE_DOORBELL = 220
DOORBELL = REPOSITORY / "firmware" / "app" / "doorbell.py"


def test_few_constructors_take_callbacks() -> None:
    taking = callbacks(sources("firmware"))
    assert sum(len(one.callbacks) for one in taking) <= CALLBACKS, "\n".join(map(str, taking))


def test_no_constructor_has_more_parameters_than_a_reader_keeps_in_mind() -> None:
    longer = long_constructors(sources("firmware"), most=CONSTRUCTOR_PARAMETERS)
    assert not longer, "\n".join(map(str, longer))


def test_the_doorbell_is_put_together_without_late_binding() -> None:
    """A part is built after what it takes; `Listeners` join what would be a circle."""
    text = DOORBELL.read_text()
    assert not [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Lambda)]
    assert len(text.splitlines()) <= MOST_LINES_OF_THE_DOORBELL


def test_a_callback_is_counted_whatever_its_type_is_called() -> None:
    types = """
OnPress = Callable[[Press], None]
class Tell(Protocol):
    async def __call__(self, body: EventBody) -> Event: ...
"""
    classes = """
class Bell:
    def __init__(self, panel: Panel, *, tell: Tell | None, on_press: OnPress) -> None: ...
@dataclass(frozen=True)
class Terminal:
    ask: Callable[[str], str]
    name: str
class Plain:
    pass
"""
    found = callbacks({"types.py": types, "classes.py": classes})
    assert {one.name: one.callbacks for one in found} == {
        "Bell": ("tell", "on_press"),
        "Terminal": ("ask",),
    }
