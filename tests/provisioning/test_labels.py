"""Labels, read back as a phone reads them."""

import io
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from PIL import Image, ImageDraw

from provisioning.errors import WishRefused
from provisioning.labels import A4, Label, labels_of, pdf_sheets, svg_sheets

LINK = "https://doorward.example/s/{serial}"
SERIALS = [f"dw-{n:04d}" for n in range(30)]


def test_each_code_of_a_sheet_says_its_own_link():
    (first, second) = svg_sheets(labels_of(SERIALS, LINK))
    codes = re.findall(r'scale\(([\d.]+)\)" d="([^"]+)"', (first + second).decode())
    assert len(codes) == 30
    for serial, (_, path) in zip(SERIALS, codes, strict=True):
        picture = Image.new("L", (400, 400), 255)
        draw = ImageDraw.Draw(picture)
        for x, y in re.findall(r"M(\d+) (\d+)", path):
            left, top = 40 + int(x) * 8, 40 + int(y) * 8
            draw.rectangle((left, top, left + 7, top + 7), fill=0)
        (found,) = zxingcpp.read_barcodes(np.asarray(picture))
        assert found.text == f"https://doorward.example/s/{serial}"


def test_a_pdf_has_a_page_a_sheet_and_is_the_same_each_time():
    labels = labels_of(SERIALS, LINK)
    data = pdf_sheets(labels)
    assert data == pdf_sheets(labels)
    assert len(re.findall(rb"/Type /Page\b", data)) == 2


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="pdftoppm isn't installed (apt)")
def test_the_printed_codes_are_read(tmp_path: Path):
    (tmp_path / "labels.pdf").write_bytes(pdf_sheets(labels_of(SERIALS[:24], LINK)))
    command = ["pdftoppm", "-r", "300", "-gray", "-png", tmp_path / "labels.pdf"]
    page = subprocess.run(command, capture_output=True, check=True).stdout
    found = zxingcpp.read_barcodes(np.asarray(Image.open(io.BytesIO(page))))
    assert {code.text for code in found} == {LINK.format(serial=s) for s in SERIALS[:24]}


def test_labels_lie_within_their_sheet_and_beside_each_other():
    places = [A4.place(number) for number in range(A4.count)]
    assert len(set(places)) == A4.count
    assert all(left + A4.label_width <= A4.width + 0.01 for left, _ in places)
    assert all(top + A4.label_height <= A4.height for _, top in places)


def test_a_serial_is_text_and_never_markup():
    (sheet,) = svg_sheets([Label(serial="<b>&", link="https://doorward.example")])
    assert b"<b>" not in sheet
    assert b"&lt;b&gt;&amp;" in sheet


@pytest.mark.parametrize(
    "link", ["http://doorward.example", "javascript:1", "https://" + "x" * 300]
)
def test_a_link_that_nobody_should_follow_is_refused(link: str):
    with pytest.raises(WishRefused, match="https"):
        labels_of(SERIALS, link)


@pytest.mark.parametrize("count", [0, 1001])
def test_too_few_and_too_many_are_refused(count: int):
    with pytest.raises(WishRefused, match="labels"):
        labels_of(["x"] * count, LINK)
