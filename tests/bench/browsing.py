"""Whether benchmarks that look at a page can run here."""

from tests.bench.measuring import NotHere
from tests.flows.browser import chromium_path


def need_browser() -> None:
    """Raise NotHere if there is no Chromium."""
    try:
        chromium_path()
    except AssertionError as error:
        raise NotHere("there is no Chromium (apt install chromium)") from error
