"""`doorward-verify --page` hands out the page that checks evidence in a browser."""

import hashlib
from pathlib import Path

import pytest

from firmware.protocol.encoding import WireError
from relay.verify.checks import Exit
from relay.verify.cli import main
from relay.verify.saved_page import SAVED_PAGE, write_saved_page

built = pytest.mark.skipif(not SAVED_PAGE.exists(), reason="not built: `npm run vendor`")


@built
def test_the_page_is_saved_with_its_digest_and_without_evidence(tmp_path: Path, capsys) -> None:
    out = tmp_path / "verify.html"
    assert main(["--page", str(out)]) == Exit.HOLDS.value
    assert out.read_bytes() == SAVED_PAGE.read_bytes()
    assert hashlib.sha256(out.read_bytes()).hexdigest() in capsys.readouterr().out


@built
def test_the_page_never_goes_over_what_is_there(tmp_path: Path, capsys) -> None:
    out = tmp_path / "verify.html"
    out.write_text("mine")
    assert main(["--page", str(out)]) == Exit.USAGE.value
    assert out.read_text() == "mine"
    assert f"{out}: File exists" in capsys.readouterr().err


def test_an_installation_without_the_page_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(WireError, match="npm run vendor"):
        write_saved_page(tmp_path / "verify.html", page=tmp_path / "nothing.html")
    assert list(tmp_path.iterdir()) == []


def test_who_names_neither_evidence_nor_a_page_is_told_what_to_name(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "name the evidence" in capsys.readouterr().err
