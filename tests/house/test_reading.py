"""How long the documents are that everybody reads, and how long their sentences."""

import re
from statistics import fmean

import pytest

from tests.house.documents import REPOSITORY, sections, sentences

README = REPOSITORY / "README.md"
MOST_WORDS = {"README.md": 900, "SECURITY.md": 450}
MOST_LINES = {"docs/architecture.md": 250}
MOST_LINES_OF_A_RELEASE = 60


def without_drawings(text: str) -> str:
    """Return a document without the blocks that are drawn from the code."""
    return re.sub(r"(<!-- (\w+):begin -->).*?<!-- \2:end -->", r"\1", text, flags=re.DOTALL)


@pytest.mark.parametrize("name", MOST_WORDS)
def test_a_document_that_everybody_reads_stays_short(name: str):
    assert len((REPOSITORY / name).read_text().split()) <= MOST_WORDS[name]


@pytest.mark.parametrize("name", MOST_LINES)
def test_the_architecture_can_be_read_in_one_sitting(name: str):
    written = without_drawings((REPOSITORY / name).read_text())
    assert len(written.splitlines()) <= MOST_LINES[name]


def test_each_release_is_told_in_a_page():
    for release, text in sections(REPOSITORY / "CHANGELOG.md").items():
        assert len(text.splitlines()) <= MOST_LINES_OF_A_RELEASE, release


def test_the_readmes_sentences_are_short():
    words = [len(sentence.split()) for sentence in sentences(README)]
    assert len(words) >= 30
    assert fmean(words) < 18


def test_sentences_are_told_apart_in_prose_alone(tmp_path):
    document = tmp_path / "some.md"
    document.write_text(
        "# A heading. It counts not.\n\n"
        "One [link. Two](a.md) words. **Bold ends.** `Code` begins\nthe next, e.g. this.\n\n"
        "    code. More Code.\n\n"
        "- an item\n- *another*. Third\n\n| a | table |\n|---|---|\n\n```\nfenced. Text\n```\n"
    )
    assert sentences(document) == [
        "One link.",
        "Two words.",
        "**Bold ends.",
        "`Code` begins the next, e.g. this.",
        "an item",
        "*another*.",
        "Third",
    ]
