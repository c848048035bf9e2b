"""Texts of a post's refusals, in the reader's language: `feed.text.NAME` for each `TextRule`."""

from relay.feed.text_rules import MAX_TEXT_CHARS, TextProblem
from relay.web.i18n import Texts


def text_problem_text(texts: Texts, problem: TextProblem) -> str:
    """Return the sentence that says what to do about a post's text."""
    return texts(f"feed.text.{problem.rule}", found=problem.found, most=MAX_TEXT_CHARS)
