"""What the documents say is there: links, tests, commands, settings, decisions."""

import importlib
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.house.documents import (
    REPOSITORY,
    anchor_of,
    anchors,
    commands,
    documents,
    functions_of,
    make_targets,
    named_tests,
    relative_links,
    sections,
    table_rows,
    tracked_files,
)
from tests.house.layers import SIDES, block_in, drawn_layers
from tests.house.scripts import SCRIPTS
from tests.story.settings import Ports

README = REPOSITORY / "README.md"
PROMISES = REPOSITORY / "docs/security/promises.md"
THREATS = REPOSITORY / "docs/security/threats.md"
CONTRIBUTING = REPOSITORY / "CONTRIBUTING.md"
ARCHITECTURE = REPOSITORY / "docs/architecture.md"
GLOSSARY = REPOSITORY / "docs/glossary.md"
ATTACKS = sorted((REPOSITORY / "tests/attacks").glob("test_*.py"))
GUIDE = sorted((REPOSITORY / "docs/guide").glob("*.md"))
DECISIONS = sorted((REPOSITORY / "docs/decisions").glob("*.md"))
HOSTS = [".".join(parts) for parts in (
    ("pypi", "org"), ("files", "pythonhosted", "org"), ("registry", "npmjs", "org"),
)]  # fmt: skip
"""In pieces, because this file is looked at too."""
HOME = re.compile(rb"(?<![\w.}/-])/(?:work|root)/")


def short(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@pytest.mark.parametrize("document", documents(), ids=short)
def test_every_link_into_the_repository_leads_somewhere(document: Path):
    for target, heading in relative_links(document):
        assert target.exists(), f"{short(document)} links to {target}, which isn't there"
        assert not heading or heading in anchors(target), f"{target} has no heading {heading}"


@pytest.mark.parametrize("document", documents(), ids=short)
def test_every_test_file_that_is_named_exists(document: Path):
    for name in named_tests(document.read_text()):
        assert (REPOSITORY / name).is_file(), f"{short(document)} names {name}"


@pytest.mark.parametrize("document", documents(), ids=short)
def test_every_make_target_that_is_named_exists(document: Path):
    targets = re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert set(make_targets(document)) <= set(targets)


@pytest.mark.parametrize("file", [PROMISES, THREATS], ids=short)
def test_every_promise_is_shown_by_a_test(file: Path):
    rows = table_rows(file)
    assert len(rows) >= 10
    for *_, shown_by in rows:
        names = named_tests(shown_by)
        assert names, f"nothing shows: {shown_by}"
        for name in names:
            path = REPOSITORY / name
            assert path.is_file(), f"{name} isn't there"
            assert functions_of(path), f"{name} has no test"


def promises_of_the_readme() -> dict[str, str]:
    """Return the six promises of the README: each bold headline, with the text of its item."""
    items = re.split(r"^(?=\d\. )", sections(README)["Six promises"], flags=re.MULTILINE)[1:]
    found = [re.match(r"(\d\. )\*\*(.+?)\*\*", item) for item in items]
    return {f"{m.group(1)}{m.group(2)}": item for m, item in zip(found, items, strict=True) if m}


def test_each_of_the_six_promises_is_attacked_by_two_files_at_least():
    promised = [heading for heading in sections(PROMISES) if heading[:1].isdigit()]
    assert [heading[0] for heading in promised] == list("123456")
    for heading in promised:
        names = set(named_tests(sections(PROMISES)[heading]))
        assert len(names) >= 2, heading
        assert all(name.startswith("tests/attacks/") for name in names), heading


def test_each_promise_of_the_readme_links_to_its_attacks_and_counts_them():
    promised = promises_of_the_readme()
    assert list(promised) == [heading for heading in sections(PROMISES) if heading[:1].isdigit()]
    for heading, text in promised.items():
        link = re.search(rf"\[(\d+)[^\]]*\]\({short(PROMISES)}#{anchor_of(heading)}\)", text)
        assert link, f"the README links {heading} to no attacks"
        assert int(link.group(1)) == len(set(named_tests(sections(PROMISES)[heading]))), heading


def test_every_attack_is_named_where_a_reader_looks():
    told = named_tests(PROMISES.read_text()) + named_tests(THREATS.read_text())
    assert {short(path) for path in ATTACKS} <= set(told)


def test_the_threat_model_has_rows_for_everybody_it_names():
    actors = sections(THREATS)
    del actors["Whom we don't trust"]
    assert len(actors) >= 15
    assert not [actor for actor, text in actors.items() if "\n| " not in text]


def test_every_folder_of_tests_says_what_it_is_for():
    text = (REPOSITORY / "tests/README.md").read_text()
    told = set(re.findall(r"^\| `(\w+)/`", text, re.MULTILINE)) | {"relay"}  # told with firmware/
    parts = {path.relative_to(REPOSITORY).parts for path in tracked_files()}
    assert {p[1] for p in parts if p[0] == "tests" and len(p) > 2} <= told


@pytest.mark.parametrize("side", SIDES)
def test_the_architecture_names_each_folder_once(side: str):
    table = ARCHITECTURE.read_text().partition(f": {side}/\n")[2].partition("\n#")[0]
    told = re.findall(r"^\| `(\w+)/` \|", table, re.MULTILINE)
    parts = {path.relative_to(REPOSITORY).parts for path in tracked_files()}
    folders = {part[1] for part in parts if part[0] == side and len(part) > 2}
    assert sorted(told) == sorted(folders)


def test_the_architecture_draws_the_layers_that_import_linter_holds():
    assert block_in(ARCHITECTURE.read_text()) == drawn_layers(), "python -m tests.house.layers"


@pytest.mark.parametrize("document", [ARCHITECTURE, CONTRIBUTING, GLOSSARY], ids=short)
def test_every_file_that_a_contributor_is_sent_to_exists(document: Path):
    names = re.findall(r"`((?:\.ci|docs|firmware|relay|tests)/[\w./-]+)`", document.read_text())
    assert not [name for name in names if not (REPOSITORY / name).exists()]


def all_commands() -> list[list[str]]:
    return [
        command for document in [README, CONTRIBUTING, *GUIDE] for command in commands(document)
    ]


def answer_to_help(name: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    module, _, function = SCRIPTS[name].partition(":")
    with pytest.raises(SystemExit) as ended:
        getattr(importlib.import_module(module), function)([*words, "--help"])
    told = capsys.readouterr()
    assert ended.value.code == 0, f"{name} {' '.join(words)}: {told.err}"
    return told.out


def test_the_guide_shows_a_command_of_every_script_that_people_start():
    assert {command[0] for command in all_commands()} <= set(SCRIPTS)
    assert len(all_commands()) >= 10


def real_words(words: list[str]) -> list[str]:
    """Return a command's words without the flags whose value stands for one, or is read at once."""
    standing = {number for number, word in enumerate(words) if "…" in word or word.endswith(".txt")}
    left_out = standing | {number - 1 for number in standing}
    return [word for number, word in enumerate(words) if number not in left_out]


@pytest.mark.parametrize("command", all_commands(), ids=" ".join)
def test_a_command_of_the_guide_is_understood(
    command: list[str], capsys: pytest.CaptureFixture[str]
):
    name, *words = command
    helps = answer_to_help(name, [], capsys) + answer_to_help(name, real_words(words), capsys)
    for flag in [word.partition("=")[0] for word in words if word.startswith("--")]:
        assert re.search(rf"{flag}\b", helps), f"{name} knows no {flag}"


def test_the_demos_settings_are_the_ones_that_the_guide_lists(capsys: pytest.CaptureFixture[str]):
    text = (REPOSITORY / "docs/guide/try.md").read_text()
    rows = dict(re.findall(r"^\| `(--[\w-]+)[^`]*` \| ([^|]*) \|", text, re.MULTILINE))
    assert set(rows) == demo_options(capsys)
    defaults = {f"--{name}-port": str(port) for name, port in asdict(Ports()).items()}
    assert {flag: rows[flag] for flag in defaults} == defaults


def demo_options(capsys: pytest.CaptureFixture[str]) -> set[str]:
    settings = importlib.import_module("tests.story.settings")
    with pytest.raises(SystemExit):
        settings.parse_settings(["--help"])
    return set(re.findall(r"--[a-z0-9-]+", capsys.readouterr().out)) - {"--help"}


def test_decisions_are_numbered_without_gaps():
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    for number, path in enumerate(DECISIONS, start=1):
        assert path.read_text().startswith(f"# {number}. "), short(path)


@pytest.mark.parametrize("decision", DECISIONS, ids=short)
def test_a_decision_says_what_it_costs(decision: Path):
    assert re.search(r"\*\*Costs\.?\*\*", decision.read_text()), f"{short(decision)} costs nothing?"


@pytest.mark.parametrize("lock", sorted((REPOSITORY / "requirements").glob("*.txt")), ids=short)
def test_every_locked_package_has_hashes(lock: Path):
    entries = re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n", "", lock.read_text(), flags=re.MULTILINE))
    assert len(entries) >= 5
    for entry in entries:
        assert re.match(r"[\w.-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_no_tracked_file_names_a_registry_or_a_folder_of_one_machine():
    wrong = []
    for path in tracked_files():
        data = path.read_bytes()
        wrong += [f"{short(path)}: {host}" for host in HOSTS if host.encode() in data]
        wrong += [f"{short(path)}: {found.decode()}" for found in HOME.findall(data)]
    assert not wrong
