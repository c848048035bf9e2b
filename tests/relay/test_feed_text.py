"""A post's text: what is refused before a moderator reads it, and what hints moderators get."""

import time
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.feed.lookalikes import imitated_name, mixed_words
from relay.feed.text_hints import HINT_CATEGORIES, hints_on_post
from relay.feed.text_rules import (
    MAX_TEXT_CHARS,
    TEXT_RULES,
    Author,
    TextContext,
    TextProblem,
    TextRefused,
    TextRule,
    check_text,
    linked_requests,
    text_problems,
)
from relay.web.feed_texts import text_problem_text
from relay.web.i18n import load_texts

PUBLISHED = "a" * 26
MOST_CPU_S = 0.5
"""For a text of a thousand signs; it takes some milliseconds."""
REQUEST = f"https://relay.test/requests/{PUBLISHED}"
CONTEXT = TextContext(
    agency_names=("Lakeland Police", "Malmö polis"),
    request_prefix="https://relay.test/requests/",
    is_published=lambda request_id: request_id == PUBLISHED,
)


def rules_broken(text: str, *, kind: str = "hazard", author: Author = "neighbour") -> list[str]:
    """Return the names of the rules that a text breaks, in their order."""
    return [one.rule for one in text_problems(text, kind=kind, author=author, context=CONTEXT)]


@pytest.mark.parametrize(
    "text",
    [
        "A parcel was taken from our porch at 14:35 on 2026-11-30.",
        "Någon tog ett paket från vår trapp kl. 14.35 den 30/11.",
        "En gren ligger över gångvägen vid kyrkan. Kör försiktigt!",
        "Found: a child's red bicycle by the lake, between 10-12 on Monday. 🚲 👨‍👩‍👧 ❤️",
        "Lakeland Police were here at 9. LAKELAND POLICE closed the street.",
        "Malmo polis och Malmö Polis var här.",
        "Потеряна синяя варежка у озера.",
        "Χάθηκε ένα μπλε γάντι.",
        "كسر باب المرآب",
        f"They asked for recordings: {REQUEST} tells which.",
        "The price was 1500 kr, and 12 of 14 houses had no power for 3 hours.",
        "Tシャツ lost at the lake.",
        "The car left.It was grey.",
    ],
)
def test_a_plain_post_breaks_no_rule(text: str) -> None:
    assert rules_broken(text) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("x" * (MAX_TEXT_CHARS + 1), "long"),
        ("A car \u202eyloc kcab\u202c backed into ours", "turned"),
        ("\u2067Abc\u2069 took it", "turned"),
        ("A mark\u200f here", "turned"),
        ("Two lines\u2028in one", "turned"),
        ("Po\u200blice took it", "hidden"),
        ("Po\u00adlice took it", "hidden"),
        ("Po\u2060lice took it", "hidden"),
        ("Joined\u200dwords", "hidden"),
        ("Tags \U000e0041\U000e0042 here", "hidden"),
        ("A\x00B", "hidden"),
        ("Private \ue000 use", "hidden"),
        ("Half a sign \ud800", "hidden"),
        ("Z\u0301\u0302\u0303\u0304\u0305\u0306algo", "hidden"),
        ("\ufeffBegins unseen", "hidden"),
        ("Роlice came", "alphabets"),  # Cyrillic Ро
        ("Lаkeland had no power", "alphabets"),  # Cyrillic а
        ("Gοogle van", "alphabets"),  # Greek ο
        ("The LakeIand Police say: stay home", "imitation"),  # capital I for l
        ("Lake1and P0lice: stay home", "imitation"),
        ("Ｌａｋｅｌａｎｄ Ｐｏｌｉｃｅ say: stay home", "imitation"),
        ("𝐋𝐚𝐤𝐞𝐥𝐚𝐧𝐝 𝐏𝐨𝐥𝐢𝐜𝐞 say: stay home", "imitation"),
        ("Lákeland Pólice say: stay home", "imitation"),
        ("Malmø polis säger: stanna hemma", "imitation"),
        ("See https://example.com/more", "link"),
        ("See www.example.com", "link"),
        ("See example.com/more", "link"),
        ("Se exempel.se", "link"),
        ("See example (dot) com", "link"),
        ("javascript:alert(1)", "link"),
        (f"See https://relay.test/requests/{'b' * 26}", "link"),
        (f"See {REQUEST}/../../admin", "link"),
        (f"See {REQUEST}?x=1", "link"),
        (f"See https://evil.test/?{REQUEST}", "link"),
        ("Ring 070-123 45 67", "phone"),
        ("Ring 0701234567", "phone"),
        ("Ring +46 70 123 45 67", "phone"),
        ("Call (863) 555-0142", "phone"),
        ("Call 863.555.0142", "phone"),
        ("Ring ０７０－１２３ ４５ ６７", "phone"),
        ("Skriv till anna@example.com", "email"),
        ("Write to anna (at) example (dot) com", "email"),
        ("Write to me, @anna_b", "email"),
        ("🔥🔥🔥", "letters"),
        ("12:30 !!!", "letters"),
        ("", "letters"),
        ("   \n ", "letters"),
    ],
)
def test_a_neighbours_post_is_refused_by_rule(text: str, rule: str) -> None:
    assert rules_broken(text)[:1] == [rule]


@pytest.mark.parametrize("kind", ["vehicle", "parcel_taken"])
@pytest.mark.parametrize(
    ("text", "has_act"),
    [
        ("A grey van stood in Elm Street for two hours, very slow.", False),
        ("Suspicious man with a hood at our door.", False),
        ("En grå skåpbil stod länge på Almgatan.", False),
        ("En okänd man med luva gick förbi.", False),
        ("En bil körde långsamt förbi huset.", False),
        ("A grey van stopped and the driver took a parcel.", True),
        ("Someone smashed the window of our car.", True),
        ("Hit and run: a red car hit ours.", True),
        ("Någon tog ett paket från trappan.", True),
        ("En bil körde på vår brevlåda.", True),
        ("Bilens ruta krossades i natt.", True),
        ("Paketet är borta.", True),
    ],
)
def test_a_vehicle_or_parcel_post_says_what_was_done(kind: str, text: str, has_act: bool) -> None:
    assert ("act" not in rules_broken(text, kind=kind)) is has_act
    assert rules_broken(text, kind="hazard") == []


@pytest.mark.parametrize(
    "text",
    [
        "Elm Street is closed until 18:00 because of a gas leak. Stay inside and shut the windows.",
        "Almgatan är avstängd till kl. 18 på grund av en gasläcka. Stanna inne och stäng fönstren.",
        "Three break-ins in Lake Morton last night: doors were forced. Lock the back door.",
        "Tre inbrott i natt: dörrar bröts upp. Lås bakdörren.",
        "If there is smoke, call 112 and leave the house.",
        "Vid rök: ring 112 och gå ut.",
        "A ring with a blue stone was found at the lake.",
        "Safety tips for the winter: have chimneys swept.",
        f"A request for recordings of Monday's break-in is published: {REQUEST}",
        f"En förfrågan om inspelningar är publicerad: {REQUEST}",
    ],
)
def test_an_agency_may_inform(text: str) -> None:
    assert rules_broken(text, kind="official", author="agency") == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Please check your cameras for a grey van.", "footage"),
        ("Send us your video of Monday.", "footage"),
        ("Any doorbell footage helps.", "footage"),
        ("Kontrollera era dörrklockor.", "footage"),
        ("Har ni inspelningar från i måndags?", "footage"),
        ("Titta på din övervakningskamera.", "footage"),
        (f"See {REQUEST}. Send us your recordings too.", "footage"),
        ("Witnesses are asked to come forward.", "witnesses"),
        ("Did you see a grey van?", "witnesses"),
        ("Anyone with information is welcome.", "witnesses"),
        ("If you know anything, say so.", "witnesses"),
        ("Vittnen sökes till en olycka.", "witnesses"),
        ("Har du sett en grå skåpbil?", "witnesses"),
        ("Någon som vet något?", "witnesses"),
        ("Tipsa gärna.", "witnesses"),
        ("Who is this man?", "names"),
        ("Do you recognise her?", "names"),
        ("Vem är mannen?", "names"),
        ("Känner du igen henne?", "names"),
        ("Contact Detective Dahl.", "contact"),
        ("Call us at the station.", "contact"),
        ("Get in touch.", "contact"),
        ("Kontakta oss på stationen.", "contact"),
        ("Hör av dig till utredaren.", "contact"),
        ("Ring polisen.", "contact"),
        ("Get a free doorbell camera at the station.", "promotion"),
        ("Skaffa en dörrklocka med rabatt.", "promotion"),
        ("Join Doorward today.", "promotion"),
    ],
)
def test_an_agency_never_asks(text: str, rule: str) -> None:
    assert rule in rules_broken(text, kind="official", author="agency")
    assert not set(rules_broken(text)) & {"footage", "witnesses", "names", "promotion"}


def test_refusal_names_the_first_broken_rule_and_the_words() -> None:
    with pytest.raises(TextRefused) as refused:
        check_text("See example.com", kind="hazard", author="neighbour", context=CONTEXT)
    assert (refused.value.problem.rule, refused.value.problem.found) == ("link", "example.com")


def test_links_to_published_requests_are_found() -> None:
    text = f"First {REQUEST}, then https://relay.test/requests/{'b' * 26}."
    assert linked_requests(text, CONTEXT) == [PUBLISHED]


@pytest.mark.parametrize("language", ["en", "sv"])
def test_each_rule_has_a_sentence_of_its_own(language: str) -> None:
    texts = load_texts()[language]
    said = {}
    for rule in TEXT_RULES:
        found = next(iter(_broken(rule)))
        said[rule] = text_problem_text(texts, found)
    assert all(text[-1] in ".!" and "{" not in text for text in said.values()), said
    assert len(set(said.values())) == len(TEXT_RULES)


def _broken(rule: TextRule) -> Iterator[TextProblem]:
    """Yield the problem of a text that breaks a rule."""
    by_rule = {
        "letters": "…", "long": "x" * 1001, "turned": "a\u202eb", "hidden": "a\u200bb",
        "alphabets": "Роlice", "imitation": "LakeIand Police", "link": "a.com/b",
        "phone": "Ring 0701234567", "email": "a@example.com", "act": "A van stood there",
        "promotion": "Buy a doorbell", "footage": "your cameras", "witnesses": "Did you see it?",
        "names": "Who is this?", "contact": "Contact us.",
    }  # fmt: skip
    author: Author = (
        "agency" if TEXT_RULES.index(rule) >= TEXT_RULES.index("promotion") else "neighbour"
    )
    text = by_rule[rule]
    for one in text_problems(text, kind="vehicle", author=author, context=CONTEXT):
        if one.rule == rule:
            yield one


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("A black man walked by and took it.", "race_only"),
        ("En mörkhyad man tog paketet.", "race_only"),
        ("John Miller stole my bicycle.", "named_person"),
        ("Anna Berg tog min cykel.", "named_person"),
        ("Her name is Karin.", "named_person"),
        ("The victim is in hospital.", "victim"),
        ("Offret fördes till sjukhus.", "victim"),
        ("A 12-year-old boy broke the window.", "minor"),
        ("En 12-årig pojke krossade rutan.", "minor"),
        ("Let's all meet at his house tonight.", "call_to_gather"),
        ("Vi samlas utanför huset ikväll.", "call_to_gather"),
        ("The car was ABC 123.", "plate"),
        ("Bilen hade ABC12D.", "plate"),
        ("It was at 12 Elm Street.", "house_number"),
        ("Det var på Storgatan 12.", "house_number"),
        ("Locks for sale, 20% off.", "advertising"),
        ("Lås säljes.", "advertising"),
    ],
)
def test_moderators_get_a_hint(text: str, category: str) -> None:
    assert category in [hint.category for hint in hints_on_post(text)]


@pytest.mark.parametrize(
    "text",
    [
        "A black car with a white roof hit a red bicycle and left fast.",
        "Vattnet är avstängt till klockan 18.",
        "Found a blue glove at Lake Morton.",
    ],
)
def test_a_plain_text_gets_no_hint(text: str) -> None:
    assert hints_on_post(text) == []


def test_hints_have_categories_of_the_closed_list() -> None:
    assert len(set(HINT_CATEGORIES)) == len(HINT_CATEGORIES)


@given(st.text(max_size=1200))
def test_no_text_crashes_the_rules(text: str) -> None:
    for author in ("neighbour", "agency"):
        for problem in text_problems(text, kind="vehicle", author=author, context=CONTEXT):
            assert problem.rule in TEXT_RULES
            problem.found.encode()
    assert all(hint.word in text for hint in hints_on_post(text))


@given(st.text(alphabet="0123456789-–./() +@a:ABÅ", max_size=1000))
def test_no_row_of_figures_takes_long(text: str) -> None:
    """Figures and signs are what the patterns of numbers and addresses walk through."""
    begun_s = time.process_time()
    list(text_problems(text, kind="hazard", author="neighbour", context=CONTEXT))
    assert time.process_time() - begun_s < MOST_CPU_S


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200), st.integers(0, 200))
def test_a_sign_that_turns_a_text_is_refused_wherever_it_stands(text: str, where: int) -> None:
    turned = text[:where] + "\u202e" + text[where:]
    assert "turned" in rules_broken(turned)


@given(st.text(max_size=300))
def test_the_name_itself_never_imitates_itself(text: str) -> None:
    is_in_skeleton_alone = imitated_name(text, ("Lakeland Police",))
    assert imitated_name(f"{text} . Lakeland Police", ("Lakeland Police",)) == is_in_skeleton_alone


@given(st.text(alphabet=st.characters(min_codepoint=97, max_codepoint=122), max_size=50))
def test_words_of_one_alphabet_are_not_mixed(text: str) -> None:
    assert list(mixed_words(text)) == []
    assert unicodedata.is_normalized("NFKC", text)
