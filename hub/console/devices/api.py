"""Devices: which there are, how they are, enrolling and shutting out."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from devices.contract.alive import Heartbeat
from devices.contract.enrolment import Enrolment
from devices.contract.payload import Id, Name, clean
from hub.api.operations import Call, Document, Nothing, Page, PageQuery, Query, Request, found, operation, page_of
from hub.devices.absences import By, EndedBy
from hub.devices.admission import TakenNameError
from hub.devices.diagnostics import Diagnostics
from hub.devices.enroller import Enroller
from hub.devices.registry import Device, Devices, Place, Vitals
from hub.web.problems import FieldError, ProblemError

Part = Annotated[str, BeforeValidator(clean), StringConstraints(max_length=60)]


class DevicePath(Query):
    device: Id


class PlaceDocument(Document):
    """Where something is, each part free text; `site` only where it is not the hub's own."""

    site: str
    building: str
    floor: str
    zone: str


class DeviceDocument(Document):
    """A device that is enrolled."""

    id: Id
    kind: Id
    name: str
    place: str = Field(description="the parts of `where`, as people read them")
    where: PlaceDocument
    enrolled_at: datetime


class VitalsDocument(Document):
    """What the hub has heard of a device since it started."""

    is_alive: bool
    heard_at: datetime | None = Field(description="null: not yet")
    heartbeat: Heartbeat | None
    clock_offset_seconds: float | None = Field(description="its clock against the hub's; above 0: ahead")
    away_since: datetime | None = Field(description="null: it is not away, or has never been here")
    refused: int = Field(description="messages that the hub refused")
    last_refusal: str | None

    @classmethod
    def of(cls, vitals: Vitals, away_since: datetime | None) -> "VitalsDocument":
        return cls(
            is_alive=vitals.is_alive,
            heard_at=vitals.last_seen_at,
            heartbeat=vitals.heartbeat,
            clock_offset_seconds=vitals.clock_offset_seconds,
            away_since=None if vitals.is_alive else away_since or vitals.last_seen_at,
            refused=vitals.refused,
            last_refusal=vitals.last_refusal,
        )


class ListedDevice(DeviceDocument):
    """A device and how it is."""

    vitals: VitalsDocument


class DevicePage(Page[ListedDevice]):
    """Devices by kind and id."""


class DeviceQuery(PageQuery):
    kind: Id | None = Field(default=None, description="only of this kind")


class NewPlace(Request):
    """Where the device will be."""

    site: Part = ""
    building: Part = ""
    floor: Part = ""
    zone: Part = ""


class Description(Request):
    """What people call a device, and where it is: the whole of both."""

    name: Name
    where: NewPlace


class AbsenceDocument(Document):
    """A time in which a device was not heard. One that the hub's own stop ended may have lasted longer."""

    began_at: datetime
    ended_at: datetime | None = Field(description="null: it lasts")
    noticed_by: By
    ended_by: EndedBy | None


class AbsencesDocument(Document):
    in_all: int
    latest: list[AbsenceDocument]


class DiagnosticsDocument(Document):
    """For whoever helps from afar: no name, no secret, nothing about a person."""

    diagnostics: dict[str, Any]


class WantedDevice(Request):
    """A device to enrol."""

    kind: Id = Field(description="a kind that a plugin drives")
    id: Id | None = Field(default=None, description="none: the next free one of its kind")
    name: Name | None = Field(default=None, description="what people call it; none: its id")
    where: NewPlace = NewPlace()


class Enrolled(Document):
    """A device's account. What is secret in it comes this once."""

    id: Id
    device: DeviceDocument
    link: str | None = Field(description="for a device that is a browser: open it there")
    enrolment: Enrolment | None = Field(description="for any other: its enrolment file")


LOOK: dict[str, Any] = {"scope": "devices:read", "roles": {"it", "caretaker"}}
ACT: dict[str, Any] = {"scope": "devices:write", "roles": {"it"}}


class DeviceApi:
    def __init__(self, devices: Devices, enroller: Enroller, diagnostics: Diagnostics) -> None:
        self._devices = devices
        self._enroller = enroller
        self._diagnostics = diagnostics

    @operation("GET", "/devices", summary="Devices", **LOOK)
    async def devices(self, call: Call[Nothing, DeviceQuery, Nothing]) -> DevicePage:
        wanted = [one for one in self._devices if call.query.kind in (None, one.kind)]
        part, following = page_of(wanted, lambda one: f"{one.kind}/{one.id}", call.query)
        return DevicePage(items=[self._listed(one) for one in part], next=following)

    @operation("GET", "/devices/{device}", summary="One device", **LOOK)
    async def device(self, call: Call[DevicePath, Nothing, Nothing]) -> DeviceDocument:
        return DeviceDocument.model_validate(self._found(call.path))

    @operation("GET", "/devices/{device}/vitals", summary="How it is", **LOOK)
    async def vitals(self, call: Call[DevicePath, Nothing, Nothing]) -> VitalsDocument:
        return self._vitals(self._found(call.path))

    @operation("PUT", "/devices/{device}", summary="Another name or place", **ACT)
    async def describe(self, call: Call[DevicePath, Nothing, Description]) -> DeviceDocument:
        wanted, device = call.body, self._found(call.path)
        place = Place(**wanted.where.model_dump())
        await self._devices.describe(device.id, wanted.name, place, call.caller.name)
        return DeviceDocument.model_validate(self._found(call.path))

    @operation("GET", "/devices/{device}/absences", summary="When it was away", **LOOK)
    async def absences(self, call: Call[DevicePath, Nothing, Nothing]) -> AbsencesDocument:
        latest, count = await self._devices.absences.of(self._found(call.path).id)
        return AbsencesDocument(in_all=count, latest=[AbsenceDocument.model_validate(one) for one in latest])

    @operation("GET", "/devices/{device}/diagnostics", summary="What whoever helps from afar needs", **LOOK)
    async def diagnostics(self, call: Call[DevicePath, Nothing, Nothing]) -> DiagnosticsDocument:
        return DiagnosticsDocument(diagnostics=await self._diagnostics.of(self._found(call.path)))

    @operation(
        "POST",
        "/devices",
        summary="Enrol a device",
        status=201,
        location="/devices/{id}",
        problems=("conflict", "invalid"),
        **ACT,
    )
    async def enrol(self, call: Call[Nothing, Nothing, WantedDevice]) -> Enrolled:
        wanted = call.body
        if wanted.kind not in self._enroller.kinds():
            detail = f"one of {', '.join(sorted(self._enroller.kinds()))}"
            raise ProblemError(
                "invalid", "No plugin drives this kind.", errors=[FieldError(at="body/kind", detail=detail)]
            )
        if wanted.id is not None and self._devices.get(wanted.id) is not None:
            raise ProblemError("conflict", "There is such a device; renew it, or take another id.")
        device = wanted.id or self._enroller.free_id(wanted.kind)
        place = Place(**wanted.where.model_dump())
        return await self._enrolled(device, wanted.kind, wanted.name or device, place, call.caller.name)

    @operation(
        "POST",
        "/devices/{device}/renew",
        summary="Give a device a new secret and link; the old ones are dead then",
        **ACT,
    )
    async def renew(self, call: Call[DevicePath, Nothing, Nothing]) -> Enrolled:
        known = self._found(call.path)
        return await self._enrolled(known.id, known.kind, known.name, known.where, call.caller.name)

    @operation("DELETE", "/devices/{device}", summary="Shut a device out, at once", **ACT)
    async def revoke(self, call: Call[DevicePath, Nothing, Nothing]) -> None:
        await self._enroller.revoke(self._found(call.path).id, call.caller.name)

    async def _enrolled(self, device: str, kind: str, name: str, place: Place, actor: str) -> Enrolled:
        try:
            enrolment = await self._enroller.enrol(device, kind, name, place, actor)
        except TakenNameError as error:
            raise ProblemError("conflict", str(error)) from None
        link = self._enroller.link(enrolment)
        return Enrolled(
            id=device,
            device=DeviceDocument.model_validate(found(self._devices.get(device), "such device any more")),
            link=link,
            enrolment=None if link else enrolment,
        )

    def _listed(self, device: Device) -> ListedDevice:
        vitals = self._vitals(device)
        return ListedDevice(**DeviceDocument.model_validate(device).model_dump(), vitals=vitals)

    def _vitals(self, device: Device) -> VitalsDocument:
        since = self._devices.absences.since(device.id)
        return VitalsDocument.of(self._devices.vitals(device.id), since)

    def _found(self, path: DevicePath) -> Device:
        return found(self._devices.get(path.device), "such device")
