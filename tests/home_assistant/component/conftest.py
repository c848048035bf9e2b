"""Home Assistant's own test rig, with our component, before a real doorward-view and doorbell.

Run by Home Assistant's Python (.ci/home_assistant); the doorbell runs in ours, as a process.
"""

import importlib
from collections.abc import Iterator

import pytest
from door_process import COMPONENTS, DoorProcess, door_process
from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_custom_components


@pytest.fixture(autouse=True)
async def with_component(
    hass: HomeAssistant, enable_custom_integrations: None, socket_enabled: None
) -> None:
    """Let Home Assistant find our component, beside the rig's own, and reach this machine."""
    found = importlib.import_module("custom_components").__path__
    ours = str(COMPONENTS / "custom_components")
    if ours not in found:
        found.append(ours)
    assert "doorward" in await async_get_custom_components(hass)


@pytest.fixture(scope="session")
def one_door() -> Iterator[DoorProcess]:
    """One doorbell for all tests: it takes seconds to start."""
    with door_process() as door:
        yield door


@pytest.fixture
def door(one_door: DoorProcess) -> DoorProcess:
    """The doorbell, with all rights but `record`, and no live view open."""
    one_door.tell("rights history live rings")
    one_door.tell("clock 1000")
    return one_door
