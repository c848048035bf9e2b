"""The operator's numbers of addresses: read strictly, or the relay doesn't start."""

import pytest

from relay.errors import ConfigError
from relay.map.address_counts import load_address_counts
from tests.relay.theft_map import CENTRE, PLACES


def test_counts_are_read_and_a_cell_that_is_not_named_has_none(tmp_path):
    path = tmp_path / "addresses.csv"
    path.write_text(f"cell,addresses\n{CENTRE},212\n")
    counts = load_address_counts(path)
    assert counts is not None
    assert (counts.of(CENTRE), counts.of("8808866025fffff"), len(counts)) == (212, 0, 1)
    assert load_address_counts(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"addresses,cell\n{CENTRE},1\n",
        f"cell,addresses\n{CENTRE},-1\n",
        f"cell,addresses\n{CENTRE},1.5\n",
        f"cell,addresses\n{CENTRE.upper()},1\n",
        "cell,addresses\n8908866025bffff,1\n",
        f"cell,addresses\n{CENTRE},1\n{CENTRE},2\n",
        f"cell,addresses\n{PLACES[0]},1,2\n",
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, text):
    path = tmp_path / "addresses.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match="addresses"):
        load_address_counts(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_address_counts(tmp_path / "none.csv")
