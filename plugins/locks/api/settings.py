"""A door's habits, for programs: opening schedule, how long it opens, what it does alone, anti-passback, sluices."""

from typing import Annotated, Any

from pydantic import AfterValidator

from devices.access.lists import Opening
from devices.contract import door
from hub.plugin import Context, MistakeError
from hub.plugin.api import Call, Document, FieldError, Nothing, ProblemError, Request, found, operation
from plugins.locks.api.doors import READ, DoorPath
from plugins.locks.models import DoorSettings, UnknownDoorError
from plugins.locks.rules.access import NO_HOURS, Access


def _clear(opening: Opening | None) -> Opening | None:
    if opening is not None and opening.times.unclear is not None:
        raise ValueError("hours begin when they end: the whole day is 0 to 1440")
    return opening


class SettingsRequest(DoorSettings, Request):
    """All of a door's habits."""

    opening: Annotated[Opening | None, AfterValidator(_clear)] = None


class DoorSettingsDocument(DoorSettings, Document):
    """A door's habits."""


WRITE: dict[str, Any] = {"scope": "doors:set", "roles": {"caretaker", "it"}, "asks_again": True}


class SettingsApi:
    def __init__(self, context: Context, access: Access) -> None:
        self._context = context
        self._access = access

    @operation("GET", "/doors/{door}/settings", summary="A door's habits", **READ)
    async def settings(self, call: Call[DoorPath, Nothing, Nothing]) -> DoorSettingsDocument:
        return self._document(call.path.door)

    @operation("PUT", "/doors/{door}/settings", summary="Set a door's habits", **WRITE)
    async def change(self, call: Call[DoorPath, Nothing, SettingsRequest]) -> DoorSettingsDocument:
        found(call.path.door if self._is_door(call.path.door) else None, "such door")
        try:
            await self._access.save_settings(call.path.door, call.body, call.caller.name)
        except MistakeError as mistake:
            at = "body/opening/times/weekly" if mistake.message == NO_HOURS else "body/interlock_with"
            wrong = FieldError(at=at, detail=str(mistake))
            raise ProblemError("invalid", "Look at `errors`.", errors=[wrong]) from None
        except UnknownDoorError:
            raise ProblemError("not-found", "There is no such door.") from None
        return self._document(call.path.door)

    def _document(self, door_id: str) -> DoorSettingsDocument:
        found(door_id if self._is_door(door_id) else None, "such door")
        return DoorSettingsDocument.model_validate(self._access.settings_of(door_id))

    def _is_door(self, door_id: str) -> bool:
        device = self._context.devices.get(door_id)
        return device is not None and device.kind == door.KIND
