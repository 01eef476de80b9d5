"""`kommunevert check` on what people write by mistake: it says in words what is wrong and where, and changes nothing."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from click.testing import CliRunner
from pydantic import TypeAdapter, ValidationError
from pydantic_core import core_schema

from hub.cli import checking
from hub.cli.main import main
from hub.configuration.explaining import explained
from hub.configuration.settings import HubSettings, TimeOfDay
from hub.language.mistakes import BEGINNINGS, OTHERWISE, TEXTS, described
from hub.store.folder_lock import FolderLock
from plugins.directory.config import Settings as DirectorySettings
from plugins.locks.config import Permission
from plugins.locks.permissions import Permissions
from tests.directory_server import DirectoryServer, slapd
from tests.mail_server import MailServer
from tests.ports import free_port
from tests.test_directory import ldap_settings

__all__ = ["slapd"]

PEOPLE = """\
dn: uid=kari,ou=folk
objectClass: inetOrgPerson
uid: kari
cn: Kari Nordmann
mail: kari@fjordvik.example
"""


@pytest.fixture
def good(tmp_path: Path) -> str:
    """One setting a line, so that a case replaces a line."""
    (tmp_path / "people.ldif").write_text(PEOPLE)
    (tmp_path / "plugins").mkdir()
    return f"""\
site: {{id: raadhus, languages: [nn, nb, en], time_zone: Europe/Oslo}}
data: data
web: {{host: 127.0.0.1, port: {free_port()}, public_url: "http://localhost:18480"}}
broker: {{kind: own, port: {free_port()}, websocket_port: {free_port()}}}
plugin_directory: plugins
plugins:
  directory:
    source: {{kind: ldif, file: people.ldif}}
  notify: {{}}
  locks: {{}}
"""


def everything_in(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_mode) for path in [folder, *folder.rglob("*")]}


def checked(text: str, folder: Path, *options: str, is_good: bool = False) -> list[str]:
    """What it says, without the folder; nothing has changed."""
    path = folder / "kommunevert.yaml"
    path.write_text(text)
    before = everything_in(folder)
    done = CliRunner().invoke(main, ["check", "--config", str(path), *options])
    assert everything_in(folder) == before
    assert (done.exit_code == 0) is is_good, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    lines = done.output.replace(f"{folder}/", "").splitlines()
    return lines if is_good else [line for line in lines if not line.startswith("Error: ")]


def written(good: str, number: int, line: str) -> str:
    lines = good.splitlines(keepends=True)
    lines[number - 1] = line + "\n"
    return "".join(lines)


@pytest.mark.parametrize(
    ("number", "line", "says"),
    [
        (1, "site: {languages: [nynorsk]}", "site.languages.0: is no language code such as nn, found 'nynorsk'"),
        (1, "site: {languages: [nn, xx]}", "site.languages.1: there are no texts in `xx`; there are ar, en, nb, nn"),
        (1, "site: {time_zone: Oslo}", "site.time_zone: is no time zone; Europe/Oslo is one, found 'Oslo'"),
        (2, "data: /proc/nope", "data: /proc/nope cannot be used: nothing can be stored in /proc"),
        (2, "data: people.ldif", "data: people.ldif cannot be used: people.ldif is no folder"),
        (2, "data: people.ldif/data", "data: people.ldif/data cannot be used: people.ldif is no folder"),
        (
            3,
            "web: {public_url: 'localhost:18480'}",
            "web.public_url: is no address that a link can start with, so links in mails would be dead; https://kommunev",
        ),
        (3, "web: {public_url: kommunevert.example}", "web.public_url: is no address that a link can start with"),
        (3, "web: {public_url: 'https://x/?a=1'}", "web.public_url: is no address that a link can start with"),
        (3, "web: {host: 198.51.100.7}", "web.host: 198.51.100.7 is not an address of this machine"),
        (3, "web: {host: no such host}", "web.host: no such host: "),
        (
            3,
            "web: {tls: {certificate: people.ldif, key: k.pem}}",
            "web.tls: there is no file k.pem; `kommunevert tls init` makes a certificate",
        ),
        (4, "broker: {program: mosquito}", "broker.program: the program `mosquito` is not installed"),
        (
            4,
            "broker: {kind: external, host: b, secret_file: s}",
            "broker.secret_file: s cannot be read: No such file or directory",
        ),
        (
            4,
            "broker: {port: 5, websocket_port: 5}",
            "broker.websocket_port: 5 is the port of `broker.port` too (line 4)",
        ),
        (8, "    source: {kind: ldif}", "plugins.directory.source.file: must be given: the LDIF file"),
        (
            8,
            "    source: {kind: ldif, file: no.ldif}",
            "plugins.directory.source.file: no.ldif cannot be read: No such file or directory",
        ),
        (
            8,
            "    source: {kind: ldif, file: people.ldif, object_class: user}",
            "plugins.directory.source.object_class: nobody there is a user",
        ),
        (
            9,
            "  notify: {mail: {host: m, sender: vert@f.example, port: 25, user: vert}}",
            "plugins.notify.mail: names a user, so secret_file must name the file with the password",
        ),
        (
            9,
            "  notify: {mail: {host: m, sender: vert}}",
            "plugins.notify.mail.sender: is no mail address: it has no name",
        ),
        (
            10,
            "  locks: {quiet_hours: {start: 22:00, end: 6}}",
            "plugins.locks.quiet_hours.end: is no time of day; write",
        ),
        (10, "  locks: {forgive_at: 4}", "plugins.locks.forgive_at: is no time of day; write it with hours and"),
        (10, "  locks: {alarms_to: [nobody]}", "plugins.locks.alarms_to.0: is no mail address: it has no name before"),
        (
            10,
            "  locks: {may: [{role: boss, verbs: [pulse]}]}",
            "plugins.locks.may.0.role: must be one of front_line, caret",
        ),
    ],
)
def test_what_people_write_by_mistake(number: int, line: str, says: str, good: str, tmp_path: Path) -> None:
    found = checked(written(good, number, line), tmp_path)
    assert len(found) == 1, found
    assert found[0].startswith(f"kommunevert.yaml:{number}: {says}"), found


def test_a_good_one_is_good(good: str, tmp_path: Path) -> None:
    assert checked(good, tmp_path, is_good=True) == ["kommunevert.yaml: good"]
    assert checked(good, tmp_path, "--try", is_good=True) == ["kommunevert.yaml: good"]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n"])
def test_an_empty_file_says_where_an_example_is(text: str, tmp_path: Path) -> None:
    (found,) = checked(text, tmp_path)
    assert found.startswith("kommunevert.yaml: the file is empty; ")
    assert Path(found.split("; ")[1].split(" is an example")[0]).is_file()


def test_the_settings_of_another_kind(good: str, tmp_path: Path) -> None:
    found = checked(written(good, 8, "    source: {kind: ldap, file: people.ldif}"), tmp_path)
    takes = "base, bind_dn, ca_file, kind, login, object_class, page_size, secret_file, timeout_seconds, url"
    assert found == [
        f"kommunevert.yaml:8: plugins.directory.source.file: belongs to `kind: ldif`; `kind: ldap` takes {takes}",
        "kommunevert.yaml:8: plugins.directory.source: `kind: ldap` needs `url`, `bind_dn`, `secret_file`, `base`",
    ]


def test_two_on_one_port_names_both_lines(good: str, tmp_path: Path) -> None:
    text = written(written(good, 3, "web: {port: 18480}"), 4, "broker: {kind: own, port: 18480}")
    says = "broker.port: 18480 is the port of `web.port` too (line 3); each must have its own"
    assert checked(text, tmp_path) == [f"kommunevert.yaml:4: {says}"]
    text = written(written(good, 3, "web: {port: 8884}"), 4, "broker: {port: 8883, tls: {certificate: a, key: a}}")
    (tmp_path / "a").touch()
    says = "broker.port: 8884 (the one after it, for `broker.tls`) is the port of `web.port` too (line 3)"
    assert checked(text, tmp_path) == [f"kommunevert.yaml:4: {says}; each must have its own"]


@pytest.mark.parametrize(("number", "name"), [(3, "web.port"), (4, "broker.port"), (4, "broker.websocket_port")])
def test_a_port_that_another_has(number: int, name: str, good: str, tmp_path: Path) -> None:
    port = free_port()
    section, setting = name.split(".")
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        found = checked(written(good, number, f"{section}: {{{setting}: {port}}}"), tmp_path)
    says = f"kommunevert.yaml:{number}: {name}: port {port} on 127.0.0.1 cannot be used: Address already in use"
    assert says in found


def test_beside_a_hub_that_runs_its_ports_are_not_tried(good: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with socket.socket() as ours, FolderLock(tmp_path / "data"):
        port = free_port()
        ours.bind(("127.0.0.1", port))
        ours.listen()
        found = checked(written(good, 3, f"web: {{port: {port}}}"), tmp_path, is_good=True)
    hint = f"a hub runs with this folder (process {os.getpid()}), so that its ports were not tried"
    assert found == [f"hint: kommunevert.yaml:2: data: {hint}", "kommunevert.yaml: good"]
    assert checked(good, tmp_path, is_good=True) == ["kommunevert.yaml: good"]


@pytest.mark.parametrize(
    ("number", "line", "says"),
    [
        (10, "  locks: {may: [{role: it, verbs: [pulse], zones: [Kjellarr]}]}", "spelt just like that: Kjellarr"),
        (9, "  notify: {mail: {host: m, sender: v@f.example, port: 465}}", "STARTTLS is mostly on 587"),
        (9, "  notify: {mail: {host: m, sender: v@f.example, security: tls}}", "TLS is mostly on 465"),
        (9, "  notify: {mail: {host: m, sender: v@f.example, secret_file: people.ldif}}", "is not used without `user`"),
        (
            9,
            "  notify: {mail: {host: m, sender: v@f.example, port: 25, user: v, secret_file: people.ldif}}",
            "on 25 mail",
        ),
        (
            9,
            "  notify: {mail: {host: m, sender: v@f.example, security: none, user: v, secret_file: people.ldif}}",
            "clear",
        ),
    ],
)
def test_what_may_be_meant_is_a_hint(number: int, line: str, says: str, good: str, tmp_path: Path) -> None:
    hint, last = checked(written(good, number, line), tmp_path, is_good=True)
    assert hint.startswith(f"hint: kommunevert.yaml:{number}: plugins.")
    assert says in hint
    assert last == "kommunevert.yaml: good"


def test_a_mistake_hides_no_other(good: str, tmp_path: Path) -> None:
    """Of the same plugin and of others; what hangs on the setting that is wrong is not guessed at."""
    text = written(good, 8, "    source: {kind: ldif, file: no.ldif}")
    zones = "may: [{role: caretaker, verbs: [pulse], zones: [Kjellarr]}]"
    text = written(text, 10, f"  locks: {{{zones}, alarms_to: [not-an-address]}}")
    hint, address, file = checked(text, tmp_path)
    assert hint.startswith("hint: kommunevert.yaml:10: plugins.locks.may.0.zones: holds for doors whose zone")
    assert address.startswith("kommunevert.yaml:10: plugins.locks.alarms_to.0: is no mail address")
    assert file.startswith("kommunevert.yaml:8: plugins.directory.source.file: no.ldif cannot be read")


def test_a_zone_that_no_door_has_is_told_where_the_doors_are_known() -> None:
    permissions = Permissions(
        [Permission(role="it", verbs=frozenset({"pulse"}), zones=frozenset({"Kjellarr", "Vest"}))]
    )
    assert (
        permissions.unmatched_zones({"Kjellar", "Vest"})
        == "`may` permits something in zones that no door is in: Kjellarr"
    )
    assert permissions.unmatched_zones({"Kjellarr", "Vest"}) is None
    assert permissions.unmatched_zones(set()) is None


def test_a_plugin_that_cannot_be_imported(good: str, tmp_path: Path) -> None:
    """It leaves no bytecode either."""
    (tmp_path / "plugins" / "lost").mkdir()
    (tmp_path / "plugins" / "lost" / "__init__.py").write_text("import nowhere_at_all\n")
    found = "\n".join(checked(good, tmp_path))
    assert "\n" not in found
    assert "plugins.lost: the plugin cannot be imported: ModuleNotFoundError" in found


@pytest.fixture
def nobody() -> Iterator[None]:
    """Root may write anywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


@pytest.mark.usefixtures("nobody")
def test_a_folder_that_is_not_ours() -> None:
    with pytest.raises(PermissionError, match="/usr: Permission denied"):
        checking._require_writable(Path("/usr"))


# -- servers, for real


def test_the_directory_is_asked(good: str, slapd: DirectoryServer, tmp_path: Path) -> None:
    slapd.start()
    section = ldap_settings(slapd, tmp_path)
    (tmp_path / "wrong").write_text("not-this-one")

    def source(**other: Any) -> str:
        found = {key: str(value) if isinstance(value, Path) else value for key, value in (section | other).items()}
        return written(good, 8, f"    source: {found}")

    assert checked(source(), tmp_path, "--try", is_good=True) == ["kommunevert.yaml: good"]
    assert checked(source(secret_file="wrong"), tmp_path, is_good=True) == ["kommunevert.yaml: good"]
    (found,) = checked(source(secret_file="wrong"), tmp_path, "--try")
    assert "plugins.directory.source: " in found
    assert "refuses the login: invalidCredentials" in found
    (found,) = checked(source(object_class="user"), tmp_path, "--try")
    assert "nobody there is a user" in found
    (found,) = checked(source(url=f"ldaps://127.0.0.1:{free_port()}"), tmp_path, "--try")
    assert "plugins.directory.source: ldaps://127.0.0.1:" in found


class Guarded(Controller):
    """A mail server that wants a login."""


@pytest.fixture
def guarded() -> Iterator[Controller]:
    def look_at(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: LoginPassword) -> AuthResult:
        return AuthResult(success=given.password == b"rett", handled=False)

    server = Controller(object(), hostname="127.0.0.1", port=free_port(), authenticator=look_at, auth_require_tls=False)
    server.start()
    yield server
    server.stop()


def test_the_mail_server_is_asked(good: str, mail_server: MailServer, guarded: Controller, tmp_path: Path) -> None:
    (tmp_path / "right").write_text("rett")
    (tmp_path / "wrong").write_text("feil")

    def mail(**settings: Any) -> str:
        return written(good, 9, f"  notify: {{mail: {settings}}}")

    assert checked(mail(**mail_server.settings), tmp_path, "--try", is_good=True) == ["kommunevert.yaml: good"]
    assert mail_server.mails == []
    login = mail_server.settings | {"port": guarded.port, "user": "vert", "secret_file": "right"}
    assert checked(mail(**login), tmp_path, "--try", is_good=True)[-1] == "kommunevert.yaml: good"
    (_hint, found) = checked(mail(**login | {"secret_file": "wrong"}), tmp_path, "--try")
    assert f"plugins.notify.mail.host: 127.0.0.1:{guarded.port} does not let us in: 535" in found
    (found,) = checked(mail(**mail_server.settings | {"security": "starttls"}), tmp_path, "--try")
    assert f"127.0.0.1:{mail_server.port} cannot be reached" in found
    (found,) = checked(mail(**mail_server.settings | {"port": free_port()}), tmp_path, "--try")
    assert "cannot be reached" in found


# -- words


@pytest.mark.parametrize("kind", sorted(get_args(core_schema.ErrorType)))
def test_no_text_of_pydantics_is_told(kind: str) -> None:
    item = {"type": kind, "msg": "Input should be raw", "input": 1, "ctx": {}}
    assert "Input" not in described(item)
    assert described(item)


def test_the_kernels_and_our_plugins_settings_have_words_of_their_own() -> None:
    """What can go wrong with any of them is said, and not only that it is wrong."""
    seen = set[str]()
    for model in (HubSettings, DirectorySettings):
        for value in (1, "x", [], {}, None, {"source": 5}, {"site": 3, "web": [], "data": 3, "plugins": []}):
            try:
                model.model_validate(value)
            except ValidationError as error:
                seen |= {one["type"] for one in error.errors()}
                for _, text in explained(model, error.errors()):
                    assert OTHERWISE not in text
    assert len(seen) > 3
    assert all(kind in get_args(core_schema.ErrorType) for kind in TEXTS)
    kinds = [*get_args(core_schema.ErrorType), "path_type"]
    assert all(any(one.startswith(beginning) for one in kinds) for beginning in BEGINNINGS)


@pytest.mark.parametrize("wrong", [6, 6.5, True, "6", "24:00", "22.00", "06:00+02:00", None, [6]])
def test_a_time_of_day_is_none_but_a_time_of_day(wrong: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(TimeOfDay).validate_python(wrong)
    assert TypeAdapter(TimeOfDay).validate_python("06:00").isoformat() == "06:00:00"
