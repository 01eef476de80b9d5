"""The demo town hall: the real hub with invented people, enrolled devices and simulated ones.

Its content is defined in `config/demo/`; this module prepares it and starts the companion processes.
"""

import asyncio
import json
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from pydantic import Field

from devices.contract.enrolment import Enrolment
from devices.contract.payload import Id
from hub.configuration.settings import Configuration, Section, read_section
from hub.configuration.shipped import shipped
from hub.demo.requests import ApiRequest, send_once
from hub.devices.registry import Place
from hub.hooks.specifications import Role
from hub.hub import Hub

STOP_SECONDS = 5
WORDS = (
    "fjord",
    "skog",
    "ugle",
    "regn",
    "bru",
    "tind",
    "elv",
    "lyng",
    "måke",
    "vind",
    "stein",
    "hest",
    "eple",
    "båt",
    "rev",
    "snø",
)


class DemoDevice(Section):
    id: Id
    kind: Id
    name: str
    place: Place | str = ""
    program: list[str] = Field(default_factory=list, description="arguments to this Python: a process of its own")


class DemoGateway(Section):
    """A gateway with an account; its program reads a plan as `kommunevert simulate` writes it."""

    account: Id
    topic: Id
    things: list[dict[str, str]] = Field(description="what, name and area, as `devices.simulator` knows them")
    program: list[str]


class DemoAccount(Section):
    name: str
    roles: list[Role]


class DemoFile(Section):
    """`companions.yaml`: accounts, devices, gateways and programs beside the hub."""

    accounts: list[DemoAccount]
    devices: list[DemoDevice]
    gateways: list[DemoGateway] = Field(default_factory=list)
    programs: list[list[str]] = Field(default_factory=list)


class DemoRequests(Section):
    """`requests.yaml`: requests sent once to the hub's API, when the town hall is new."""

    requests: list[ApiRequest]


@dataclass(frozen=True)
class Ports:
    web: int
    mqtt: int
    websocket: int
    smtp: int
    mailbox: int


def free_ports(wanted: Mapping[str, int | None]) -> dict[str, int]:
    """The wanted ports, with free ones in place of None. Raises OSError if a wanted one is in use."""
    sockets, ports = [], {}
    try:
        for name, port in wanted.items():
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sockets.append(sock)
            try:
                sock.bind(("127.0.0.1", port or 0))
            except OSError as error:
                raise OSError(f"port {port} is taken: name another one with --{name}") from error
            ports[name] = int(sock.getsockname()[1])
    finally:
        for sock in sockets:
            sock.close()
    return ports


def demo_configuration(data: Path, ports: Ports) -> Configuration:
    values = {"data": str(data), "demo": str(shipped("demo")), **{k: str(v) for k, v in vars(ports).items()}}
    path = shipped("demo/demo.yaml")
    return Configuration(Template(path.read_text()).substitute(values), str(path), path.parent)


class Demo:
    """A hub's accounts, enrolled devices and companion processes in the demo."""

    def __init__(self, hub: Hub, ports: Ports) -> None:
        self._hub = hub
        self._ports = ports
        self._file = read_section(shipped("demo/companions.yaml"), DemoFile)
        self._folder = hub.settings.data / "devices"
        self.password = ""

    async def prepare(self) -> None:
        """Create accounts with a password that stays the same, and enrol devices and gateways."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.password = self._load_or_create_password()
        for account in self._file.accounts:
            await self._hub.accounts.put(account.name, self.password, frozenset(account.roles), "demo")
        for device in self._file.devices:
            await self._enrol(device)
        for gateway in self._file.gateways:
            await self._enrol_gateway(gateway)
        wanted = read_section(shipped("demo/requests.yaml"), DemoRequests)
        await send_once(self._hub, wanted.requests, self._folder / "furnished")

    def links(self) -> list[tuple[str, str]]:
        """Name and link of each browser device."""
        enroller = self._hub.enroller
        links = [(one.name, enroller.link(Enrolment.read(self._enrolment_file(one.id)))) for one in self._file.devices]
        return [(name, link) for name, link in links if link is not None]

    @property
    def accounts(self) -> list[DemoAccount]:
        return self._file.accounts

    @asynccontextmanager
    async def companions(self) -> AsyncIterator[None]:
        """Run the companions. They end when their standard input, our pipe, closes, also if we are killed."""
        running: list[asyncio.subprocess.Process] = []
        try:
            for device in self._file.devices:
                if device.program:
                    enrolment = str(self._enrolment_file(device.id))
                    running += [await self._start(device.program, enrolment=enrolment, id=device.id)]
            for gateway in self._file.gateways:
                plan = str(self._plan_file(gateway.account))
                running += [await self._start(gateway.program, plan=plan, id=gateway.account)]
            running += [await self._start(program, id="") for program in self._file.programs]
            yield
        finally:
            for process in running:
                if process.stdin:
                    process.stdin.close()
            for process in running:
                try:
                    async with asyncio.timeout(STOP_SECONDS):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()

    async def _start(self, arguments: list[str], **values: str) -> asyncio.subprocess.Process:
        values |= {
            "data": str(self._hub.settings.data),
            "demo": str(shipped("demo")),
            "time_zone": self._hub.settings.site.time_zone,
            **{k: str(v) for k, v in vars(self._ports).items()},
        }
        with (self._folder / f"{values['id'] or 'companions'}.log").open("ab") as output:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *(Template(argument).substitute(values) for argument in arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C only stops the hub, which then closes the pipe
            )

    async def _enrol(self, device: DemoDevice) -> None:
        """Enrol a device, unless it is enrolled already; update the broker's port in its file."""
        path = self._enrolment_file(device.id)
        if path.exists() and self._hub.devices.get(device.id) is not None:
            enrolment = Enrolment.read(path)
        else:
            enrolment = await self._hub.enroller.enrol(device.id, device.kind, device.name, device.place, "demo")
        _write_secret(path, enrolment.model_copy(update={"port": self._ports.mqtt}).encoded())

    async def _enrol_gateway(self, gateway: DemoGateway) -> None:
        """As `_enrol`, for a gateway."""
        path = self._plan_file(gateway.account)
        if path.exists() and self._hub.gateways.get(gateway.account) is not None:
            secret = json.loads(path.read_text())["gateways"][0]["secret"]
        else:
            secret = await self._hub.admission.add_gateway(gateway.account, [f"{gateway.topic}/#"], "demo")
        known: dict[str, Any] = gateway.model_dump(include={"account", "topic", "things"})
        known |= {"secret": secret, "host": "127.0.0.1", "port": self._ports.mqtt}
        _write_secret(path, json.dumps({"gateways": [known]}).encode())

    def _plan_file(self, gateway: str) -> Path:
        return self._folder / f"{gateway}-plan.json"

    def _enrolment_file(self, device: str) -> Path:
        return self._folder / f"{device}.json"

    def _load_or_create_password(self) -> str:
        path = self._folder / "password"
        if not path.exists():
            _write_secret(path, "-".join(secrets.choice(WORDS) for _ in range(4)).encode())
        return path.read_text()


def _write_secret(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
