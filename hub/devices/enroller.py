"""Enrolling devices: a broker account, and what plugins add for their kind."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from devices.contract.enrolment import Enrolment
from hub.broker.mosquitto import broker_connection
from hub.configuration.settings import HubSettings
from hub.devices.admission import Admission
from hub.devices.gateways import Gateways
from hub.devices.mqtt import Mqtt
from hub.devices.registry import Devices, NewDevice, Place
from hub.hooks.asking import Hooks
from hub.hooks.specifications import enrolled

if TYPE_CHECKING:
    from hub.devices.kinds import Kind

ENROLLED_TOGETHER = 50
"""Enrolments that plugins complete concurrently, so that they share commits."""


class Enroller:
    """`driven`: the kinds of device that plugins have declared."""

    def __init__(
        self,
        settings: HubSettings,
        devices: Devices,
        gateways: Gateways,
        admission: Admission,
        hooks: Hooks,
        mqtt: Mqtt,
    ) -> None:
        self.driven: dict[str, Kind] = {}
        self._settings = settings
        self._devices = devices
        self._gateways = gateways
        self._admission = admission
        self._hooks = hooks
        self._mqtt = mqtt

    def kinds(self) -> set[str]:
        """The kinds of device that some plugin drives."""
        return self._mqtt.kinds | set(self.driven)

    def pages(self) -> dict[str, str]:
        """The kinds whose devices are browsers, with the path of their page."""
        return {kind: one.page for kind, one in self.driven.items() if one.page is not None}

    def subjects(self) -> set[str]:
        """The subjects of `Live` that are touched when a device changes."""
        return {"devices"} | {one.subject for one in self.driven.values() if one.subject is not None}

    def free_id(self, kind: str) -> str:
        """The first unused id of the form `sensor-1`."""
        number = 1
        while self._devices.get(f"{kind}-{number}") or self._gateways.get(f"{kind}-{number}"):
            number += 1
        return f"{kind}-{number}"

    async def enrol(
        self, device: str, kind: str, name: str, place: Place | str, actor: str, *, reached_at: str | None = None
    ) -> Enrolment:
        """Create or renew the device's account. Only the returned enrolment contains its secret.

        `reached_at`: the host name by which the device reached this hub, and can reach its broker.
        Raises TakenNameError, or pydantic.ValidationError for an invalid id.
        """
        wanted = [NewDevice(device, kind, name, place)]
        return (await self.enrol_many(wanted, actor, reached_at=reached_at))[0]

    async def enrol_many(
        self, wanted: Sequence[NewDevice], actor: str, *, reached_at: str | None = None
    ) -> list[Enrolment]:
        """As `enrol`, with one transaction and one update of the broker for all."""
        secrets = await self._admission.enrol(wanted, actor)
        enrolments: list[Enrolment] = []
        for at in range(0, len(wanted), ENROLLED_TOGETHER):
            batch = wanted[at : at + ENROLLED_TOGETHER]
            enrolments_in_progress = (self._enrolment(one, secrets[one.id], reached_at) for one in batch)
            enrolments += await asyncio.gather(*enrolments_in_progress)
        if self._admission.broker is None:
            await self._admission.bump_revision()
        return enrolments

    async def revoke(self, device: str, actor: str) -> None:
        """Remove the account and disconnect the device. Raises UnknownDeviceError."""
        revoked = self._devices.require(device)
        await self._admission.revoke(device, actor)
        self._mqtt.clear(revoked)

    def link(self, enrolment: Enrolment) -> str | None:
        """The page of a browser device, with the enrolment in the fragment, which browsers do not send; else None."""
        path = self.page_of(enrolment)
        return f"{self._settings.web.address}{path}" if path is not None else None

    def page_of(self, enrolment: Enrolment) -> str | None:
        """As `link`, without the hub's address."""
        path = self.pages().get(enrolment.kind)
        if path is None:
            return None
        return f"{path}#device={enrolment.device}&secret={enrolment.secret}&site={enrolment.site}&root={enrolment.root}"

    async def _enrolment(self, device: NewDevice, secret: str, reached_at: str | None) -> Enrolment:
        enrolment = Enrolment(
            root=self._settings.root,
            site=self._settings.site.id,
            kind=device.kind,
            device=device.id,
            secret=secret,
            **broker_connection(self._settings.broker, reached_at),
        )
        for complete in await self._hooks.all(enrolled, enrolment=enrolment):
            enrolment = complete or enrolment
        return enrolment
