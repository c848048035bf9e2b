"""One table from rule to words: each reason for a refusal has a sentence, in both languages."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from firmware.protocol.register.entries import Limits
from firmware.protocol.register.rules import Rule
from relay.request.drafts import DraftRefused
from relay.request.form_checks import FormProblem, Problem, limit_values
from relay.request.presets import PresetReason
from relay.request.rules import ModeratorRule, RequestRefused
from relay.web.agency.problem_texts import REFUSALS, problem_text, refusal_text, why_void
from relay.web.i18n import Texts, load_texts

HOME = Path(__file__).parents[2]
LANGUAGES = load_texts()
VALUES = limit_values(Limits())
FACTS = {"name": "Dahl", "case_number": "E-1", "named": "E-2"}
SOURCES = "".join(
    path.read_text()
    for path in (
        *(HOME / "relay" / "request").glob("*.py"),
        *(HOME / "relay" / "web" / "agency").glob("*.py"),
        *(HOME / "firmware" / "protocol" / "register").glob("*.py"),
    )
)
PUBLISHER = (HOME / "relay" / "request" / "publisher.py").read_text()
STORED = (
    *get_args(Rule),
    *(name for name in REFUSALS if name.startswith("agreement.")),
    *re.findall(r'RequestRefused\("([a-z_.]+)"', PUBLISHER),
    *re.findall(r'"([a-z_.]+)" if', PUBLISHER),
)
RAISED = frozenset(re.findall(r'(?:RequestRefused|RuleBroken)\(\s*"([a-z_.]+)"', SOURCES))


@pytest.mark.parametrize("texts", LANGUAGES.values(), ids=LANGUAGES)
def test_each_refusal_has_a_sentence_at_hand_in(texts: Texts) -> None:
    said = {
        name: refusal_text(texts, RequestRefused(name, "English", **FACTS), VALUES)  # type: ignore[arg-type]
        for name in REFUSALS
    }
    assert all(text[0].isupper() and text[-1] in ".!" for text in said.values()), said
    assert len(set(said.values())) == len(said), "two rules have the same words"


@pytest.mark.parametrize("texts", LANGUAGES.values(), ids=LANGUAGES)
def test_the_forms_check_says_what_hand_in_says(texts: Texts) -> None:
    for name in REFUSALS:
        facts = FACTS | {"detail": "English"}
        checked = problem_text(texts, Problem(field="form", name=name, facts=facts), VALUES)  # type: ignore[arg-type]
        handed_in = refusal_text(texts, RequestRefused(name, "English", **FACTS), VALUES)  # type: ignore[arg-type]
        assert checked == handed_in, name


@pytest.mark.parametrize("texts", LANGUAGES.values(), ids=LANGUAGES)
@pytest.mark.parametrize("name", get_args(FormProblem))
def test_what_only_the_form_finds_has_a_sentence(texts: Texts, name: FormProblem) -> None:
    assert problem_text(texts, Problem(field="text", name=name), VALUES)


@pytest.mark.parametrize("texts", LANGUAGES.values(), ids=LANGUAGES)
def test_each_stored_reason_of_a_void_request_has_a_sentence(texts: Texts) -> None:
    """Of a reason that is stored nothing but its name is known later."""
    for name in STORED:
        kept = why_void(texts, name, VALUES)
        assert (kept.text != "", kept.said) == (True, ""), name
    assert why_void(texts, "the entry is older", VALUES).said == "the entry is older"


@pytest.mark.parametrize("texts", LANGUAGES.values(), ids=LANGUAGES)
@pytest.mark.parametrize("reason", ["drafts_full", "not_found"])
def test_each_refusal_of_a_draft_has_a_sentence(texts: Texts, reason: str) -> None:
    assert f'DraftRefused("{reason}"' in SOURCES
    assert refusal_text(texts, DraftRefused(reason, "English"), VALUES)


def test_each_name_in_the_table_is_raised_somewhere_and_no_other() -> None:
    assert {*REFUSALS, *get_args(ModeratorRule)} == RAISED
    assert frozenset(re.findall(r'DraftRefused\("([a-z_]+)"', SOURCES)) == {
        "drafts_full",
        "not_found",
    }


@pytest.mark.parametrize("texts", LANGUAGES.values(), ids=LANGUAGES)
def test_no_sentence_is_left_of_a_rule_that_is_gone(texts: Texts) -> None:
    folder = HOME / "relay" / "web" / "locales" / texts.language
    keys = {key for path in folder.glob("*.json") for key in json.loads(path.read_text())}
    said = {key.removeprefix("problem.") for key in keys if key.startswith("problem.")}
    fields = {"case_number", "retention_days", "incident_type", "onward_sharing"}
    known = {
        *REFUSALS,
        *get_args(FormProblem),
        *(f"{name}.void" for name in REFUSALS),
        *(f"malformed.{field}" for field in fields),
        *(f"preset.{reason}" for reason in get_args(PresetReason)),
        "drafts_full",
        "not_found",
    }
    assert said <= known, said - known
