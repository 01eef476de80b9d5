"""A real OpenLDAP for tests: `from tests.directory_server import slapd` in a conftest gives the fixture.

The directory is config/demo/employees.ldif, unchanged, plus a reader's account and passwords for a few. It
has TLS by a CA of its own, and limits as a municipality's AD has: nobody gets more than MAX_UNPAGED entries
without paging, and anonymous gets nothing.
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.ports import free_port

WHERE = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/usr/lib/openldap:/usr/libexec"
SLAPD, SLAPADD = shutil.which("slapd", path=WHERE), shutil.which("slapadd", path=WHERE)
SCHEMAS = (Path("/etc/ldap/schema"), Path("/etc/openldap/schema"))
EMPLOYEES = Path(__file__).parents[1] / "config/demo/employees.ldif"
BASE = "dc=fjordvik,dc=example"
MAX_UNPAGED = 100

CONFIGURATION = """
{includes}
pidfile {directory}/slapd.pid
argsfile {directory}/slapd.args
modulepath {modules}
moduleload back_mdb
TLSCACertificateFile {directory}/ca.pem
TLSCertificateFile {directory}/server.pem
TLSCertificateKeyFile {directory}/server.key
TLSProtocolMin 3.3
disallow bind_anon
database mdb
suffix "{base}"
rootdn "{admin}"
rootpw {admin_password}
directory {directory}/data
maxsize 67108864
index objectClass,uid,mail,entryCSN,entryUUID,modifyTimestamp eq
index cn,sn,givenName eq,sub
sizelimit size.soft={unpaged} size.hard={unpaged} size.pr=500 size.prtotal=unlimited
access to attrs=userPassword by self write by anonymous auth by * none
access to * by dn.exact="{reader}" read by self read by * none
"""
READER = """
dn: ou=tenester,{base}
objectClass: organizationalUnit
ou: tenester

dn: {reader}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: kommunevert
userPassword: {password}
"""


class DirectoryServer:
    """One slapd with its own directory. `start` and `stop` keep its ports; `reload` brings back the data."""

    base = BASE
    people = f"ou=personar,{BASE}"
    units = f"ou=einingar,{BASE}"
    groups = f"ou=grupper,{BASE}"
    bind_dn = f"cn=kommunevert,ou=tenester,{BASE}"
    bind_password = "reader-password"
    admin_dn = f"cn=admin,{BASE}"
    admin_password = "admin-password"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca_file = directory / "ca.pem"
        self.port, self.tls_port = free_port(), free_port()
        self.url = f"ldap://127.0.0.1:{self.port}"
        """Plain; StartTLS is offered."""
        self.tls_url = f"ldaps://127.0.0.1:{self.tls_port}"
        self.passwords: dict[str, str] = {}
        """By uid: two of vert-skranke, one each of the other groups, one who is disabled."""
        self._process: subprocess.Popen[bytes] | None = None
        _make_certificates(directory)
        self._configure()
        self.reload()

    def dn(self, uid: str) -> str:
        return f"uid={uid},{self.people}"

    def reload(self) -> None:
        """Everything as it was shipped, whatever a test has changed. Stops and starts."""
        self.stop()
        data = self.directory / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        employees = EMPLOYEES.read_text()
        self.passwords = {uid: f"password-of-{uid}" for uid in _who_gets_a_password(employees)}
        with_passwords = employees
        for uid, password in self.passwords.items():
            line = f"\nuid: {uid}\n"
            with_passwords = with_passwords.replace(line, f"{line}userPassword: {password}\n")
        reader = READER.format(base=BASE, reader=self.bind_dn, password=self.bind_password)
        everything = self.directory / "everything.ldif"
        everything.write_text(with_passwords + reader)
        loading = [str(SLAPADD), "-f", self.directory / "slapd.conf", "-l", everything]
        done = subprocess.run(loading, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        self.start()

    def start(self) -> None:
        """Returns when it answers; does nothing when it runs."""
        if self._process is not None:
            return
        with (self.directory / "slapd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(str(SLAPD), "-d", "0", "-f", self.directory / "slapd.conf"),
                    *("-h", f"{self.url}/ {self.tls_url}/"),
                ],
                stderr=log,
                stdout=log,
            )
        end = time.monotonic() + 20
        while not (_listens(self.port) and _listens(self.tls_port)):
            assert self._process.poll() is None, (self.directory / "slapd.log").read_text()
            assert time.monotonic() < end, "slapd does not listen"
            time.sleep(0.02)

    def stop(self, with_signal: int = signal.SIGTERM) -> None:
        """Connections break, new ones are refused."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(with_signal)
            self._process.wait(20)
            self._process = None

    def freeze(self) -> None:
        """Connections are accepted and never answered, as by a server that swaps."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file)

    def _configure(self) -> None:
        schema = next(path for path in SCHEMAS if path.is_dir())
        modules = next((path for path in (Path("/usr/lib/ldap"), Path("/usr/lib/openldap")) if path.is_dir()), "")
        configuration = self.directory / "slapd.conf"
        configuration.write_text(
            CONFIGURATION.format(
                includes="\n".join(f"include {schema}/{name}.schema" for name in ("core", "cosine", "inetorgperson")),
                directory=self.directory,
                modules=modules,
                base=BASE,
                admin=self.admin_dn,
                admin_password=self.admin_password,
                reader=self.bind_dn,
                unpaged=MAX_UNPAGED,
            )
        )
        configuration.chmod(0o600)


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DirectoryServer]:
    """One for the whole run: a test that changes data calls `reload` when it is done."""
    missing = SLAPD is None or SLAPADD is None or not any(path.is_dir() for path in SCHEMAS)
    if missing and os.environ.get("KOMMUNEVERT_NO_SKIPS") == "1":
        pytest.fail("slapd is missing")
    if missing:
        pytest.skip("slapd is missing")
    server = DirectoryServer(tmp_path_factory.mktemp("slapd"))
    yield server
    server.stop()


def _who_gets_a_password(employees: str) -> list[str]:
    entries = employees.split("\n\n")
    members = {
        group: [
            line.removeprefix("member: uid=").split(",")[0]
            for entry in entries
            if f"dn: cn={group}," in entry
            for line in entry.splitlines()
            if line.startswith("member: ")
        ]
        for group in ("vert-skranke", "vert-vaktmeister", "vert-ikt")
    }
    disabled = next(entry for entry in entries if "employeeType: disabled" in entry)
    uid = next(line for line in disabled.splitlines() if line.startswith("uid: ")).removeprefix("uid: ")
    return [
        *members["vert-skranke"][:2],
        members["vert-vaktmeister"][0],
        members["vert-ikt"][0],
        uid,
    ]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _make_certificates(directory: Path) -> None:
    """ca.pem, server.pem and server.key; the server is 127.0.0.1 and localhost."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA of Fjordvik")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    ca = (
        _certificate(ca_name, ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .issuer_name(ca_name)
        .sign(ca_key, hashes.SHA256())
    )
    server = (
        _certificate(name, key)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .issuer_name(ca_name)
        .sign(ca_key, hashes.SHA256())
    )
    (directory / "ca.pem").write_bytes(ca.public_bytes(Encoding.PEM))
    (directory / "server.pem").write_bytes(server.public_bytes(Encoding.PEM))
    (directory / "server.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (directory / "server.key").chmod(0o600)


def _certificate(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
    )
