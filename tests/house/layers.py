"""The layers of docs/architecture.md, written from the import contracts of pyproject.toml.

python -m tests.house.layers    writes them into the document
"""

import re
import textwrap
import tomllib
from typing import Any

from tests.house.documents import REPOSITORY

ARCHITECTURE = REPOSITORY / "docs/architecture.md"
BEGIN, END = "<!-- layers:begin -->", "<!-- layers:end -->"
SIDES = ("firmware", "relay")


def layers_of(side: str) -> list[list[str]]:
    """Return a side's layers from the top down, each as the names of its parts."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    (contract,) = [c for c in settings["tool"]["importlinter"]["contracts"] if _is_of(c, side)]
    return [
        [part.strip(" ()").rpartition(".")[2] for part in re.split(r"[|:]", layer)]
        for layer in contract["layers"]
    ]


def drawn_layers() -> str:
    """Return the block that stands in the document, its markers included."""
    drawn = []
    for side in SIDES:
        layers = " ─► ".join(" | ".join(parts) for parts in layers_of(side))
        drawn += textwrap.wrap(
            layers,
            width=110,
            initial_indent=f"    {side:<12}",
            subsequent_indent=" " * 16,
            break_on_hyphens=False,
        )
    return "\n".join([BEGIN, "", *drawn, "", END])


def block_in(text: str) -> str:
    """Return the document's block as it is, or an empty text where it has none."""
    found = re.search(rf"{BEGIN}.*?{END}", text, re.DOTALL)
    return found.group() if found else ""


def _is_of(contract: dict[str, Any], side: str) -> bool:
    if contract["type"] != "layers":
        return False
    named = contract.get("containers", contract["layers"])
    return re.match(rf"\(?{side}\b", named[0]) is not None


def main() -> None:
    """Write the layers into the document."""
    text = ARCHITECTURE.read_text()
    ARCHITECTURE.write_text(text.replace(block_in(text), drawn_layers()))


if __name__ == "__main__":
    main()
