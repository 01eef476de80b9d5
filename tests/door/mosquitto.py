"""A real Mosquitto for one test: its own port, directory, accounts and rights, as the hub configures it."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.ports import free_port

WHERE = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
PROGRAM = shutil.which("mosquitto", path=WHERE)
PASSWORDS = shutil.which("mosquitto_passwd", path=WHERE)

CONFIGURATION = """
listener {port} 127.0.0.1
socket_domain ipv4
allow_anonymous false
password_file {directory}/passwords
acl_file {directory}/rights
use_username_as_clientid true
set_tcp_nodelay true
persistence false
log_dest file {directory}/broker.log
{user}
"""
RIGHTS = """
user hub
topic readwrite {root}/#

user {door}
topic write {root}/{site}/door/{door}/up/#
topic read {root}/{site}/door/{door}/down/#
"""


class Mosquitto:
    """Accounts: name → password. It comes back on the same port after `stop` or `kill`."""

    def __init__(self, directory: Path, accounts: dict[str, str], rights: str) -> None:
        self.port = free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        lines = "".join(f"{name}:{password}\n" for name, password in accounts.items())
        (directory / "passwords").write_text(lines)
        (directory / "passwords").chmod(0o600)
        subprocess.run([str(PASSWORDS), "-U", directory / "passwords"], check=True, timeout=20)
        (directory / "rights").write_text(rights)
        (directory / "rights").chmod(0o600)
        user = "user root" if os.geteuid() == 0 else ""
        configuration = CONFIGURATION.format(port=self.port, directory=directory, user=user)
        (directory / "mosquitto.conf").write_text(configuration)

    def start(self) -> None:
        self._process = subprocess.Popen([str(PROGRAM), "-c", self._directory / "mosquitto.conf"])
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, (self._directory / "broker.log").read_text()
                assert time.monotonic() < end, "mosquitto does not listen"
                time.sleep(0.02)
            else:
                return

    def stop(self, with_signal: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(with_signal)
            self._process.wait(10)
            self._process = None

    def kill(self) -> None:
        self.stop(signal.SIGKILL)
