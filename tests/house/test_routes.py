"""The five routes of docs/architecture.md are as the code goes.

Each self-test plants a route, or code below it, that is wrong in one way.
"""

from pathlib import Path

import pytest

from tests.house.routes import RouteUnreadable, faults_of, parse_routes, written_routes

CODE = {
    "panel.py": """
class Panel:
    def ring(self):
        self.pressed.notify()

def wire(panel, bell):
    panel.pressed.add(bell.take)
""",
    "bell.py": """
class Bell:
    def take(self):
        '''Not told by a docstring: other.'''
        return Letter()

class Letter:
    def __init__(self):
        def send():
            return page()
        send()
""",
    "page.js": """
/** Draws nothing. */
export async function page(letter) {
  return new Page().draw(letter); // never: other
}

export class Page {
  draw() {
    this.#fill();
  }

  #fill() {}
}
""",
}
ROUTE = """
### 1. A press

1. `panel.py` `Panel.ring`: chimes.
   Through `pressed`, joined in `panel.py` `wire` (`pressed`, `take`).
2. `bell.py` `Bell.take`: writes.
3. `bell.py` `Letter.__init__`: is
   made.
4. `page.js` `page`: shows it.
5. `page.js` `Page.draw`: draws.
6. `page.js` `Page.#fill`: fills.
"""
REAL = parse_routes(written_routes())


@pytest.mark.parametrize("route", REAL, ids=lambda route: route.title)
def test_a_route_is_as_the_code_goes(route):
    assert faults_of(route) == []


def test_there_are_five_routes_that_can_be_walked_in_one_sitting():
    assert [route.title[:2] for route in REAL] == ["1.", "2.", "3.", "4.", "5."]
    assert all(8 <= len(route.steps) <= 16 for route in REAL)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for name, text in CODE.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def faults(house: Path, old: str = "", new: str = "") -> list[str]:
    assert old in ROUTE
    (route,) = parse_routes(ROUTE.replace(old, new))
    return faults_of(route, house)


def spoil(house: Path, name: str, old: str, new: str) -> None:
    text = CODE[name]
    assert old in text
    (house / name).write_text(text.replace(old, new))


def test_a_right_route_has_no_fault(house: Path):
    assert faults(house) == []


def test_a_file_that_is_gone_is_found(house: Path):
    (house / "page.js").unlink()
    assert "there is no file page.js" in faults(house)


def test_a_class_that_is_gone_is_found(house: Path):
    assert faults(house, "`Bell.take`", "`Gong.take`") == ["bell.py has no function Gong.take"]


def test_a_method_that_is_gone_is_found(house: Path):
    assert faults(house, "`Bell.take`", "`Bell.took`") == ["bell.py has no function Bell.took"]


def test_a_nested_function_is_found_by_its_whole_name_only(house: Path):
    assert faults(house, "`Letter.__init__`", "`Letter.send`") == [
        "bell.py has no function Letter.send"
    ]
    assert "bell.py has no function" not in str(
        faults(house, "`Letter.__init__`", "`Letter.__init__.send`")
    )


def test_a_javascript_function_that_is_gone_is_found(house: Path):
    assert faults(house, "`page`", "`leaf`") == ["page.js has no function leaf"]


def test_a_javascript_method_that_is_gone_is_found(house: Path):
    assert faults(house, "`Page.#fill`", "`Page.fill`") == ["page.js has no function Page.fill"]


def test_a_call_that_is_gone_is_found(house: Path):
    spoil(house, "bell.py", "return Letter()", "return None")
    assert faults(house) == ["bell.py Bell.take doesn't name Letter of bell.py"]


def test_a_docstring_is_no_call(house: Path):
    spoil(house, "bell.py", "return Letter()", "'''Letter'''")
    assert faults(house) == ["bell.py Bell.take doesn't name Letter of bell.py"]


def test_a_javascript_call_that_is_gone_is_found(house: Path):
    spoil(house, "page.js", "this.#fill();", "this.fill(); // #fill")
    assert faults(house) == ["page.js Page.draw doesn't name #fill of page.js"]


def test_a_step_that_no_longer_names_its_way_is_found(house: Path):
    spoil(house, "panel.py", "self.pressed.notify()", "self.rung.notify()")
    assert faults(house) == [
        "panel.py Panel.ring doesn't name pressed, through which it hands over"
    ]


def test_wiring_that_is_gone_is_found(house: Path):
    assert faults(house, "`wire`", "`join`") == ["panel.py has no function join"]


@pytest.mark.parametrize(
    ("end", "old", "new"),
    [("pressed", "panel.pressed", "panel.rung"), ("take", "bell.take", "bell")],
)
def test_wiring_that_no_longer_names_an_end_is_found(house: Path, end: str, old: str, new: str):
    spoil(house, "panel.py", old, new)
    assert faults(house) == [f"panel.py wire doesn't name {end}, an end that it joins"]


def test_wiring_that_leads_elsewhere_is_found(house: Path):
    assert faults(house, "(`pressed`, `take`)", "(`take`, `pressed`)") == [
        "panel.py wire is said to join pressed, and the next step is bell.py Bell.take"
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [("`Bell.take`: writes.", "Bell.take: writes."), (" (`pressed`, `take`).", ".")],
)
def test_a_step_in_another_form_is_refused(old: str, new: str):
    assert old in ROUTE
    with pytest.raises(RouteUnreadable):
        parse_routes(ROUTE.replace(old, new))
