"""Which rings a kill met, and how long they waited."""

import pytest

from tests.bench.failover import Killed, pauses_of
from tests.cluster.people import Ring


def ring(began_s: float, *, receipt_s: float, shown_s: float) -> Ring:
    return Ring(began_s=began_s, receipt_s=began_s + receipt_s, shown_s=began_s + shown_s)


def test_a_ring_counts_if_it_was_under_way_while_a_process_was_killed():
    rings = [
        ring(1.0, receipt_s=0.1, shown_s=0.2),
        ring(9.0, receipt_s=0.5, shown_s=4.0),
        ring(11.0, receipt_s=3.0, shown_s=2.0),
        ring(30.0, receipt_s=0.1, shown_s=0.2),
    ]
    found = pauses_of(rings, [Killed(name="web-1", began_s=10.0, ended_s=15.0)])
    assert found.receipts_s == pytest.approx([0.5, 3.0])
    assert found.pages_s == pytest.approx([4.0, 2.0])
    assert found.longest_s == pytest.approx({"web-1": 4.0})


def test_a_kill_that_met_no_ring_has_no_pause():
    found = pauses_of([], [Killed(name="spare", began_s=10.0, ended_s=15.0)])
    assert found.longest_s == {"spare": 0.0}
    assert not found.receipts_s
