"""All modules that a decision rests on, and the tests that are to notice each change to them.

Left out of a package is what decides nothing: records of facts, texts for people, and programs.
"""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Modules of one package, and their tests: first those that notice most, and soonest."""

    package: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]

    def path(self, module: str) -> str:
        """Return a module's path from the repository's root."""
        return f"{self.package}.{module}".replace(".", "/") + ".py"


def _all_of(package: str, *, without: tuple[str, ...]) -> tuple[str, ...]:
    """Return the modules of a package: a new one counts without being named."""
    folder = ROOT / package.replace(".", "/")
    found = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    assert set(without) <= set(found)
    return tuple(name for name in found if name not in without)


_PASSKEY_TESTS = (
    "tests/firmware/test_assertion_checks.py",
    "tests/firmware/test_passkey_kinds.py",
    "tests/firmware/test_one_key_one_text.py",
    "tests/attacks/test_one_key_is_one_person.py",
)
_REGISTER_TESTS = (
    "tests/firmware/test_register_limits.py",
    "tests/firmware/test_register.py",
    "tests/firmware/test_request_rules.py",
    "tests/firmware/test_saved_register.py",
    "tests/attacks/test_one_key_is_one_person.py",
)

SUITES: dict[str, Suite] = {
    "consent": Suite(
        package="firmware.consent",
        modules=_all_of("firmware.consent", without=("facts",)),
        tests=(
            "tests/firmware/test_verifier_order.py",
            "tests/firmware/test_verifier.py",
            "tests/firmware/test_request_rules.py",
            "tests/firmware/test_household_rules.py",
            "tests/firmware/test_sealed.py",
        ),
    ),
    "lifecycle": Suite(
        package="firmware.decisions",
        modules=("lifecycle",),
        tests=("tests/firmware/test_lifecycle.py", "tests/house/test_lifecycle_diagram.py"),
    ),
    "passkeys": Suite(
        package="firmware.protocol",
        modules=("passkeys", "encoding", "certified_key", "browsers"),
        tests=(
            *_PASSKEY_TESTS,
            "tests/firmware/test_protocol.py",
            "tests/firmware/test_browsers.py",
            "tests/firmware/test_live_protocol.py",
        ),
    ),
    "sealing": Suite(
        package="firmware.protocol",
        modules=("sealing", "sealed_chunks", "packages"),
        tests=(
            "tests/attacks/test_only_the_agency_opens_a_package.py",
            "tests/firmware/test_one_key_one_text.py",
            "tests/firmware/test_seal.py",
            "tests/relay/test_verify_vectors.py",
        ),
    ),
    "requests": Suite(
        package="firmware.protocol",
        modules=("requests",),
        tests=(
            "tests/firmware/test_certificates_in_requests.py",
            "tests/firmware/test_assertion_checks.py",
            *_REGISTER_TESTS,
            "tests/firmware/test_request_vectors.py",
            "tests/attacks/test_only_who_may_asks.py",
            "tests/attacks/test_a_relay_cannot_name_an_officers_passkey.py",
            "tests/attacks/test_a_stolen_session_signs_nothing.py",
        ),
    ),
    "register": Suite(
        package="firmware.protocol.register",
        modules=_all_of(
            "firmware.protocol.register",
            without=("entries", "extract", "records", "saved_form", "saved_stamps"),
        ),
        tests=(
            *_REGISTER_TESTS,
            "tests/attacks/test_nobody_changes_the_register_alone.py",
            "tests/attacks/test_only_who_may_asks.py",
            "tests/attacks/test_an_agency_owes_what_became_of_its_requests.py",
            "tests/attacks/test_a_hostile_register.py",
            "tests/relay/test_register_file.py",
        ),
    ),
    "tlog": Suite(
        package="firmware.protocol.tlog",
        modules=_all_of("firmware.protocol.tlog", without=("witness",)),
        tests=(
            "tests/firmware/test_tlog_notes.py",
            "tests/firmware/test_tlog_policy.py",
            "tests/firmware/test_tlog_merkle.py",
            "tests/firmware/test_one_key_one_text.py",
            "tests/firmware/test_tlog_published.py",
        ),
    ),
    "verify": Suite(
        package="relay.verify",
        modules=("agency_key", "date_checks", "document_checks", "document_reader", "log_checks"),
        tests=(
            "tests/relay/test_verify_dates.py",
            "tests/relay/test_agency_key.py",
            "tests/relay/test_verify.py",
            "tests/relay/test_verify_logs.py",
            "tests/relay/test_verify_vectors.py",
            "tests/relay/test_verify_grant_signature.py",
            "tests/relay/test_verify_identity.py",
            "tests/attacks/test_a_void_register_proves_nothing.py",
            "tests/attacks/test_an_owner_cannot_backdate.py",
            "tests/attacks/test_an_owner_cannot_stretch_a_date.py",
            "tests/relay/test_verify_credentials.py",
        ),
    ),
    "announcements": Suite(
        package="relay.evidence",
        modules=("delivery",),
        tests=(
            "tests/relay/test_packages.py",
            "tests/attacks/test_nobody_reaches_anothers_things.py",
            "tests/attacks/test_what_is_taken_back_leaves_no_more.py",
        ),
    ),
    "sign-in": Suite(
        package="relay.people",
        modules=("passkeys", "ceremonies", "sessions"),
        tests=(
            "tests/relay/test_passkey_checks.py",
            "tests/relay/test_people.py",
            "tests/relay/test_sessions.py",
        ),
    ),
    "api routes": Suite(
        package="relay.api",
        modules=("auth",),
        tests=(
            "tests/attacks/test_nobody_reaches_anothers_things.py",
            "tests/relay/test_sessions.py",
            "tests/relay/test_api.py",
        ),
    ),
    "agency routes": Suite(
        package="relay.web.agency",
        modules=("access", "session", "visibility"),
        tests=(
            "tests/relay/test_role_matrix.py",
            "tests/attacks/test_nobody_reaches_anothers_things.py",
            "tests/relay/test_first_day.py",
            "tests/relay/test_sessions.py",
            "tests/relay/test_roles.py",
        ),
    ),
    "admin routes": Suite(
        package="relay.web.admin",
        modules=("session",),
        tests=("tests/relay/test_admin_sign_in.py", "tests/relay/test_sessions.py"),
    ),
}
