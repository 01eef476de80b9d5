"""Which tests run on PostgreSQL as well as on SQLite: those of the store itself, and of each plugin's rows. No others.

Faults, migrations and the hold on the database bring a PostgreSQL of their own: tests/faults, test_person_ids.py,
test_one_hub.py.
"""

import pytest

BOTH = frozenset(
    {
        # the store: transactions, events, audit, retention, what it says of its errors, and the ends of its types
        "tests/test_kernel.py",
        "tests/test_events.py",
        "tests/test_jobs.py",
        "tests/test_api_store.py",
        "tests/test_retention.py",
        "tests/test_logs.py::test_a_database_error_is_without_what_was_written",
        "tests/test_calendar_ends.py::test_no_notice_stands_until_the_end_of_all_times",
        "tests/test_visit_clocks.py::test_whatever_a_kiosks_clock_says_its_visitor_is_in_the_building",
        "tests/test_checkin.py::test_names_as_people_and_pranksters_write_them",
        "tests/test_web_edge.py::test_nul_in_json_is_refused",
        # the kernel's rows
        "tests/test_ends_of_accounts.py::test_what_somebody_made_ends_with_their_account",
        "tests/test_plugins.py::test_hub",
        # the plugins' rows
        "tests/test_checkin.py::test_the_same_visit_twice_is_one_visit_with_one_number",
        "tests/test_checkin.py::test_the_evacuation_list_is_who_has_come_and_not_left",
        "tests/test_checkin.py::test_what_is_personal_is_forgotten",
        "tests/test_checkin.py::test_many_kiosks_at_once",
        "tests/test_directory.py::test_changes_come_and_a_half_empty_directory_is_not_believed",
        "tests/test_directory.py::test_the_hub_goes_on_with_what_it_has",
        "tests/test_notify.py::test_from_the_tap_to_the_answer_on_the_kiosk",
        "tests/test_notify.py::test_nothing_personal_stays_when_it_is_sent_and_answered",
        "tests/test_signage.py::test_a_notice_is_dated_and_changed",
        "tests/test_access.py::test_a_card_that_may_gets_a_signed_answer_and_its_line_in_the_log",
        "tests/test_access.py::test_where_a_doors_journal_stands_is_kept_as_it_came",
        "tests/test_access.py::test_a_pass_opens_once_or_until_it_is_taken_back",
        "tests/test_door_alarms.py::test_an_alarm_stands_until_somebody_has_seen_to_it",
        "tests/test_hub_keys.py::test_two_that_ask_for_the_first_key_get_one",
    }
)
"""Files, and tests by name."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    file = metafunc.definition.path.relative_to(metafunc.config.rootpath).as_posix()
    if "store_url" in metafunc.fixturenames and BOTH & {file, f"{file}::{metafunc.function.__name__}"}:
        metafunc.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
