"""The demo directory in a real OpenLDAP: everything in it, over TLS, within the limits of a real one."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ldap3
import pytest
from ldap3.core.exceptions import LDAPException

from plugins.directory.ldap import CheckedTls
from tests.directory_server import EMPLOYEES, MAX_UNPAGED, DirectoryServer

WANTED = [
    "uid",
    "cn",
    "sn",
    "title",
    "ou",
    "businessCategory",
    "telephoneNumber",
    "mail",
    "employeeType",
    "mobile",
]


@contextmanager
def connection(
    slapd: DirectoryServer, *, dn: str = "", password: str = "", timeout: int = 5, start_tls: bool = False
) -> Iterator[ldap3.Connection]:
    tls = CheckedTls(slapd.ca_file)
    url = slapd.url if start_tls else slapd.tls_url
    server = ldap3.Server(url, tls=tls, connect_timeout=timeout, get_info=ldap3.SCHEMA)
    account = dn or slapd.bind_dn, password or slapd.bind_password
    opened = ldap3.Connection(server, *account, receive_timeout=timeout, raise_exceptions=True)
    try:
        opened.open(read_server_info=False)
        if start_tls:
            opened.start_tls(read_server_info=False)
        opened.bind()
        yield opened
    finally:
        if opened.socket is not None:
            opened.strategy.close()


def search(slapd: DirectoryServer, base: str, wanted: str = "(objectClass=*)") -> list[dict[str, list]]:
    with connection(slapd) as reader:
        found = reader.extend.standard.paged_search(
            base,
            wanted,
            attributes=[*WANTED, "member", "userPassword", "entryUUID"],
            paged_size=50,
            generator=False,
        )
    return [entry["attributes"] for entry in found]


@pytest.mark.slow
def test_the_file_is_what_the_script_makes() -> None:
    script = Path(__file__).parents[2] / "config/demo/make_employees.py"
    subprocess.run([sys.executable, script, "--check"], check=True, timeout=30)


def test_there_is_no_password_in_the_file() -> None:
    assert "userpassword" not in EMPLOYEES.read_text().lower()


def test_everybody_is_there(slapd: DirectoryServer) -> None:
    people = search(slapd, slapd.people, "(objectClass=inetOrgPerson)")
    assert 140 <= len(people) <= 170
    assert sum(person["employeeType"] == ["disabled"] for person in people) == 6
    assert all(1 <= len(person["businessCategory"]) <= 4 for person in people)
    assert all(mail.endswith("@fjordvik.example") for person in people for mail in person["mail"])
    numbers = [number for person in people for number in person["telephoneNumber"] + person["mobile"]]
    assert all(number.startswith("+47 00 ") for number in numbers)
    assert len(set(numbers)) == len(numbers)
    for unique in ("uid", "mail"):
        values = [person[unique][0] for person in people]
        assert len(set(values)) == len(values)


def test_the_edge_cases_are_there(slapd: DirectoryServer) -> None:
    people = search(slapd, slapd.people, "(objectClass=inetOrgPerson)")
    namesakes = [(one, two) for one in people for two in people if one["cn"] == two["cn"] and one is not two]
    assert [one["ou"] != two["ou"] for one, two in namesakes] == [True, True]
    assert [person for person in people if not person["telephoneNumber"] and not person["mobile"]]
    assert max(len(person["title"][0]) for person in people) > 120
    letters = "".join(person["cn"][0] for person in people)
    assert set("æøåÅØáłą") <= set(letters)


def test_units_and_groups(slapd: DirectoryServer) -> None:
    units = {unit["ou"][0] for unit in search(slapd, slapd.units, "(telephoneNumber=*)")}
    people = search(slapd, slapd.people, "(objectClass=inetOrgPerson)")
    assert {person["ou"][0] for person in people} == units
    groups = search(slapd, slapd.groups, "(objectClass=groupOfNames)")
    assert {group["cn"][0]: len(group["member"]) for group in groups}.keys() == {
        "vert-skranke",
        "vert-vaktmeister",
        "vert-ikt",
    }
    with connection(slapd) as reader:
        for group in groups:
            for member in group["member"]:
                assert reader.search(member, "(employeeType=active)", ldap3.BASE)


def test_a_citizens_word_finds_who_helps(slapd: DirectoryServer) -> None:
    assert search(slapd, slapd.people, "(businessCategory=skjenkeløyve)")
    assert len(search(slapd, slapd.people, "(businessCategory=byggesøknader)")) >= 3


def test_the_reader_sees_no_password_and_changes_nothing(slapd: DirectoryServer) -> None:
    assert not any(person["userPassword"] for person in search(slapd, slapd.people, "(uid=*)"))
    with connection(slapd) as reader, pytest.raises(LDAPException, match="insufficientAccessRights"):
        reader.modify(slapd.dn(next(iter(slapd.passwords))), {"title": [(ldap3.MODIFY_REPLACE, ["x"])]})


def test_more_than_a_few_need_pages(slapd: DirectoryServer) -> None:
    with connection(slapd) as reader:
        reader.search(slapd.people, "(uid=*)")
        assert reader.result["description"] == "sizeLimitExceeded"  # ldap3 raises nothing for this one
        assert len(reader.entries) == MAX_UNPAGED
    assert len(search(slapd, slapd.people, "(uid=*)")) > MAX_UNPAGED


def test_a_person_binds_with_the_right_password_only(slapd: DirectoryServer) -> None:
    for uid, password in slapd.passwords.items():
        with connection(slapd, dn=slapd.dn(uid), password=password):
            pass
        with (
            pytest.raises(LDAPException, match="invalidCredentials"),
            connection(slapd, dn=slapd.dn(uid), password="wrong"),
        ):
            pass


def test_start_tls(slapd: DirectoryServer) -> None:
    with connection(slapd, start_tls=True) as reader:
        assert reader.server.ssl is False
        assert reader.tls_started
        assert reader.search(slapd.units, "(ou=IKT)")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # ldap3 leaves refused sockets open
def test_stop_freeze_and_reload(slapd: DirectoryServer) -> None:
    for fault in (slapd.stopped, slapd.frozen):
        with fault(), pytest.raises(LDAPException), connection(slapd, timeout=1):
            pass
        gc.collect()  # here, not in a later test
    uid = next(iter(slapd.passwords))
    with connection(slapd, dn=slapd.admin_dn, password=slapd.admin_password) as admin:
        admin.delete(slapd.dn(uid))
    assert not search(slapd, slapd.people, f"(uid={uid})")
    slapd.reload()
    assert search(slapd, slapd.people, f"(uid={uid})")
