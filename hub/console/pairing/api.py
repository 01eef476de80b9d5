"""Pairing: a new device shows a code, and whoever types it in decides what the device becomes."""

from urllib.parse import urlsplit

from pydantic import Field

from devices.contract.payload import Id, Name
from hub.api.operations import Call, Document, Nothing, Query, Request, found, operation
from hub.console.devices.api import DeviceDocument, NewPlace
from hub.devices.admission import TakenNameError
from hub.devices.enroller import Enroller
from hub.devices.pairing import Pairing, UnknownCodeError, Waiting
from hub.devices.registry import Devices, Place
from hub.hooks.limits import Limiter
from hub.web.problems import FieldError, ProblemError

MISTYPED_PER_MINUTE = 10
MISTYPED_WAIT_SECONDS = 60 // MISTYPED_PER_MINUTE


class CodePath(Query):
    code: str = Field(pattern=r"^[A-Za-z0-9 -]{4,12}$", description="as the device shows it")


class WaitingDocument(Document):
    """A device that shows a code; by this one recognises it."""

    code: str
    kind: Id
    address: str
    program: str


class Confirmation(Request):
    """What the device becomes."""

    replaces: Id | None = Field(default=None, description="the id of a broken device, whose place and name it takes")
    kind: Id | None = Field(default=None, description="none: as the device says")
    name: Name | None = Field(default=None, description="none: its id")
    where: NewPlace = NewPlace()


class PairingApi:
    def __init__(self, pairing: Pairing, devices: Devices, enroller: Enroller, web_address: str) -> None:
        self._pairing = pairing
        self._devices = devices
        self._enroller = enroller
        self._web_address = web_address
        self._mistyped = Limiter(MISTYPED_PER_MINUTE, 60)

    @operation("GET", "/pairings/{code}", summary="Who shows this code", scope="devices:write", roles={"it"})
    async def waiting(self, call: Call[CodePath, Nothing, Nothing]) -> WaitingDocument:
        return WaitingDocument.model_validate(self._found(call.path, call.caller.name))

    @operation(
        "POST",
        "/pairings/{code}/confirm",
        summary="Give the device its account",
        scope="devices:write",
        roles={"it"},
        problems=("conflict",),
    )
    async def confirm(self, call: Call[CodePath, Nothing, Confirmation]) -> DeviceDocument:
        wanted = call.body
        waiting = self._found(call.path, call.caller.name)
        old = self._devices.get(wanted.replaces) if wanted.replaces is not None else None
        if wanted.replaces is not None and old is None:
            raise ProblemError("conflict", f"There is no device {wanted.replaces}.")
        kind = old.kind if old else wanted.kind or waiting.kind
        if kind not in self._enroller.kinds():
            detail = f"one of {', '.join(sorted(self._enroller.kinds()))}"
            raise ProblemError(
                "invalid", "No plugin drives this kind.", errors=[FieldError(at="body/kind", detail=detail)]
            )
        device = old.id if old else self._enroller.free_id(kind)
        name = old.name if old else wanted.name or device
        place = old.where if old else Place(**wanted.where.model_dump())
        taken = self._pairing.take(waiting.code)
        reached_at = urlsplit(self._web_address).hostname
        try:
            enrolment = await self._enroller.enrol(device, kind, name, place, call.caller.name, reached_at=reached_at)
        except TakenNameError as error:
            raise ProblemError("conflict", str(error)) from None
        self._pairing.complete(taken, enrolment)
        return DeviceDocument.model_validate(found(self._devices.get(device), "such device any more"))

    def _found(self, path: CodePath, caller: str) -> Waiting:
        """The device with this code. Rate limited, since a code is short and could be guessed."""
        if self._mistyped.is_spent(caller):
            headers = {"Retry-After": str(MISTYPED_WAIT_SECONDS)}
            raise ProblemError("too-many-requests", "Too many wrong codes.", headers=headers)
        try:
            return self._pairing.find(path.code)
        except UnknownCodeError:
            self._mistyped.wait_seconds(caller)
            raise ProblemError("not-found", "No device shows this code now.") from None
