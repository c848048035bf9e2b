"""The structure of firmware/ and relay/ stays within its limits: parts, layers, no cycle."""

import pytest

from tests.house.documents import REPOSITORY
from tests.house.graph import Graph, cycles_of, layers_of, measure
from tests.house.limits import APP_LINES, LIMITS
from tests.house.sizes import lines_in

LOOSE = {
    "firmware": {"__init__.py", "__main__.py", "errors.py"},
    "relay": {"__init__.py", "__main__.py", "errors.py", "mail.py"},
}


@pytest.mark.parametrize("package", LIMITS)
def test_a_package_has_few_parts_and_layers(package: str):
    figures = measure(package)
    assert figures.parts <= LIMITS[package].parts
    assert figures.layers <= LIMITS[package].layers


@pytest.mark.parametrize("package", LIMITS)
def test_no_parts_import_each_other_in_a_cycle(package: str):
    assert measure(package).cycles == []


@pytest.mark.parametrize("package", LOOSE)
def test_no_module_lies_beside_the_folders(package: str):
    assert {path.name for path in (REPOSITORY / package).glob("*.py")} == LOOSE[package]


def test_wiring_stays_small():
    assert lines_in("firmware/app") <= APP_LINES


def test_a_cycle_is_found_and_shares_a_layer():
    graph: Graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert cycles_of(graph) == [["b", "c"]]
    assert layers_of(graph) == {"d": 1, "b": 2, "c": 2, "a": 3}
