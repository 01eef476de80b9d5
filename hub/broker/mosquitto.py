"""Mosquitto as a child process: its configuration, accounts and supervision.

Each device may write below its own `up` and read below its own `down`; the client id is the account's name, so that no
client can take over another's connection (D5). Accounts are changed by rewriting two files and sending SIGHUP.
"""

import asyncio
import os
import resource
import secrets
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from devices.wire.connection import Address
from hub.broker.accounts import AccountFiles, mosquitto_hash
from hub.configuration.settings import ExternalBroker, OwnBroker

log = structlog.get_logger("broker")

HUB_ACCOUNT = "hub"
START_SECONDS = 10
STOP_SECONDS = 5
LONGEST_WAIT_SECONDS = 4
MAX_LOG_BYTES = 5_000_000
LOG_CHECK_SECONDS = 60
FILES = ("mosquitto.conf", "passwords", "acl")
MAX_PACKET_BYTES = 450_000
"""The largest message of our plugins, with its topic; the hub accepts far less from devices."""


def broker_connection(broker: OwnBroker | ExternalBroker, reached_at: str | None) -> dict[str, Any]:
    """Host, port and TLS for an enrolment. `reached_at`: the host name by which the device reached the hub."""
    if isinstance(broker, ExternalBroker):
        return {"host": broker.host, "port": broker.port, "ca_file": broker.ca_file}
    if reached_at and broker.tls:
        from hub.broker.tls import own_authority  # noqa: PLC0415 (cryptography takes 8 MB, and few hubs need it)

        authority = own_authority(broker.tls.certificate)
        return {"host": reached_at, "port": broker.port + 1, "tls": True, "ca": authority}
    is_remote = reached_at and broker.bind != "127.0.0.1"
    return {"host": reached_at if is_remote else "127.0.0.1", "port": broker.port}


def allow_many_connections() -> None:
    """Raise the limit of open files, which the broker inherits: each connection needs one."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))


class BrokerError(Exception):
    """Mosquitto is missing or does not start; the text says what to do."""


class Broker:
    """Call `start`, then run `watch` until cancelled; `stop` ends the process."""

    def __init__(self, settings: OwnBroker, folder: Path) -> None:
        self.problem: str | None = None
        self.restarts = 0
        self._settings = settings
        self._folder = folder
        self._secret = _load_or_create_secret(folder / "hub.secret")
        self._process: asyncio.subprocess.Process | None = None
        self.accounts = AccountFiles(folder, HUB_ACCOUNT, mosquitto_hash(self._secret), self._reload_accounts)

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self._settings.port, HUB_ACCOUNT, self._secret)

    async def start(self) -> None:
        """Start Mosquitto and wait until it accepts connections. Put its accounts first. Raises BrokerError."""
        await stop_leftover(self._folder)
        try:
            await self.accounts.put([], {})
            self._write_configuration()
        except OSError as error:  # a full disk: the files from the last start will do
            if not all((self._folder / name).exists() for name in FILES):
                raise
            log.warning("broker_files_write_failed", problem=str(error))
        await self._launch()

    async def watch(self) -> None:
        """Restart it whenever it ends, with growing waits. Runs until cancelled."""
        wait = 0.2
        while True:
            assert self._process is not None  # noqa: S101 (start comes before watch)
            began = asyncio.get_running_loop().time()
            code = await self._wait_ended(self._process)
            self.problem = f"mosquitto ended with code {code}"
            log.error("broker_ended", code=code, retry_seconds=wait)
            if asyncio.get_running_loop().time() - began > 60:  # noqa: PLR2004
                wait = 0.2
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)
            try:
                await self._launch()
                self.restarts += 1
            except (BrokerError, OSError) as error:
                self.problem = str(error)
                log.error("broker_start_failed", problem=self.problem)  # noqa: TRY400 (the text says all)

    async def _wait_ended(self, process: asyncio.subprocess.Process) -> int:
        """Wait for the process to end; returns its exit code. Trims its log meanwhile."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOG_CHECK_SECONDS):
                    return await process.wait()
            self._trim_log()

    def _trim_log(self) -> None:
        """Truncate the log in place, so that devices cannot fill the disk by what Mosquitto logs."""
        with suppress(OSError):
            if (self._folder / "mosquitto.log").stat().st_size > MAX_LOG_BYTES:
                os.truncate(self._folder / "mosquitto.log", 0)
                log.warning("broker_log_trimmed", bytes=MAX_LOG_BYTES)

    def _reload_accounts(self) -> None:
        """Make Mosquitto reload accounts; it disconnects clients that were removed or have a new secret."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    # -- the child

    async def _launch(self) -> None:
        program = shutil.which(self._settings.program) or shutil.which(f"/usr/sbin/{self._settings.program}")
        if program is None:
            raise BrokerError(
                f"there is no program {self._settings.program}: install Debian's package `mosquitto`, "
                "or name an external broker in the configuration (docs/configuration.md, broker)"
            )
        allow_many_connections()
        self._trim_log()
        log_file = self._folder / "mosquitto.log"
        with log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                program,
                "-c",
                str(self._folder / "mosquitto.conf"),
                stdout=output,
                stderr=output,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the hub
            )
        self._write_pid(self._process.pid)
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self._is_accepting():
                    if self._process.returncode is not None:
                        raise BrokerError(f"mosquitto does not start: {_last_line(log_file)}")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            self._process.kill()
            raise BrokerError(f"mosquitto does not answer on port {self._settings.port}") from None
        self.problem = None
        log.info("broker_started", port=self._settings.port, websocket_port=self._settings.websocket_port)

    def _write_pid(self, pid: int) -> None:
        """Written atomically. For people only."""
        temporary = self._folder / "mosquitto.pid.new"
        with suppress(OSError):
            temporary.write_text(str(pid))
            temporary.replace(self._folder / "mosquitto.pid")

    async def _is_accepting(self) -> bool:
        """Whether both ports accept connections and our process runs: it ends if another program has the port."""
        ports = (self._settings.port, self._settings.websocket_port)
        answers = [await _accepts(port) for port in ports]
        return all(answers) and self._process is not None and self._process.returncode is None

    def _write_configuration(self) -> None:
        settings, folder = self._settings, self._folder
        lines = [
            "# Written by Kommunevert at every start; changes here are lost.",
            "per_listener_settings false",
            "allow_anonymous false",
            f"password_file {folder / 'passwords'}",
            f"acl_file {folder / 'acl'}",
            "set_tcp_nodelay true",
            f"max_packet_size {MAX_PACKET_BYTES}",
            "max_inflight_messages 2000",
            "max_queued_messages 100000",
            "persistence true",
            f"persistence_location {folder}/",
            "autosave_interval 60",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # otherwise it drops root and cannot read the folder
        binds = ["127.0.0.1"] if settings.bind == "127.0.0.1" else ["127.0.0.1", settings.bind]
        if settings.bind in ("0.0.0.0", "::"):
            binds = [settings.bind]
        # A listener's option: before the first listener it would open one on port 1883.
        own_id = "use_username_as_clientid true"
        for bind in binds:
            lines += [f"listener {settings.port} {bind}", own_id]
        if settings.tls:
            lines += [
                f"listener {settings.port + 1} {settings.bind}",
                own_id,
                f"certfile {settings.tls.certificate}",
                f"keyfile {settings.tls.key}",
            ]
        lines += [
            # Without socket_domain, Mosquitto 2.0 binds WebSockets to every interface (its issue 2085).
            f"listener {settings.websocket_port} 127.0.0.1",
            own_id,
            "socket_domain ipv4",
            "protocol websockets",
        ]
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")


def _load_or_create_secret(path: Path) -> str:
    """The hub's own password, stored so that a command that rewrites the accounts does not lock a running hub out."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text()


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def stop_leftover(folder: Path) -> None:
    """Stop the broker that a killed hub has left running, so that its ports and files are free.

    It is found by its configuration's path: its pid file may be missing after a full disk.
    """
    for pid in await asyncio.to_thread(_started_with, str(folder / "mosquitto.conf").encode()):
        log.warning("broker_leftover_stopped", pid=pid)
        with suppress(ProcessLookupError, TimeoutError):
            os.kill(pid, signal.SIGTERM)
            async with asyncio.timeout(STOP_SECONDS):
                while Path(f"/proc/{pid}").exists() and not _is_zombie(pid):
                    await asyncio.sleep(0.02)


def _started_with(argument: bytes) -> list[int]:
    """Ids of processes with this command line argument."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if argument in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it says nothing"
