"""docs/architecture.md draws the lifecycle of an owner's statement as its table is.

The block between the markers is what this prints:

    .venv/bin/python -c "from firmware.decisions.lifecycle import diagram; print(diagram(), end='')"

Seen to fail with one condition's text changed, and with a row that needed nothing any more.
"""

import re

from firmware.decisions.lifecycle import TABLE, Phase, diagram
from tests.house.documents import REPOSITORY

PAGE = REPOSITORY / "docs" / "architecture.md"
BEGIN, END = "<!-- lifecycle:begin -->\n", "<!-- lifecycle:end -->"


def drawn() -> str:
    """Return what stands between the markers."""
    _, _, rest = PAGE.read_text().partition(BEGIN)
    block, end, _ = rest.partition(END)
    assert end, f"{PAGE} has no block {BEGIN.strip()} … {END}"
    return block.strip() + "\n"


def test_the_page_shows_the_table_as_it_is() -> None:
    assert drawn() == diagram()


def test_every_phase_is_drawn_and_each_arrow_once() -> None:
    arrows = re.findall(r"^    (\S+) --> (\S+)(?: : (.*))?$", drawn(), re.MULTILINE)
    assert {phase for arrow in arrows for phase in arrow[:2]} == {"[*]", *(p.value for p in Phase)}
    assert len(arrows) == len(set(arrows))
    assert len(arrows) >= 30


def test_no_text_breaks_the_diagrams_syntax() -> None:
    for row in TABLE:
        assert not set(row.when.text + row.step.value) & set(":;|#{}\n"), row
