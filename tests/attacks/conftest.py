"""One town after its whole story, for every test that searches what the story leaves behind."""

import pytest

from tests.attacks.aftermath import Loot, make_loot, read_loot
from tests.fakes.made_once import made_once


@pytest.fixture(scope="session")
def loot(tmp_path_factory: pytest.TempPathFactory) -> Loot:
    """Play the story once a run; all of its programs have ended. Nobody writes into its folder."""

    return read_loot(made_once(tmp_path_factory, "aftermath", make_loot))
