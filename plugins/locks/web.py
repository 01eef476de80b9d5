"""The page Doors: every door with its state and the state's age, a button to open it, and what happened."""

from datetime import timedelta

from aiohttp import web

from devices.contract import door
from devices.contract.messages import clean
from hub.plugin import Context
from hub.store import now
from hub.web.pages import see
from hub.web.security import session_of
from plugins.locks.config import Settings
from plugins.locks.models import TooManyCommandsError, UnknownDoorError
from plugins.locks.service import Locks
from plugins.locks.standing import Standing
from plugins.locks.wording import ALARMS, DONE, HAPPENED

MOST_REASON = 200


class DoorPages:
    def __init__(self, context: Context, settings: Settings, locks: Locks, standing: Standing) -> None:
        self._context = context
        self._settings = settings
        self._locks = locks
        self._standing = standing
        context.pages.page("/doors", {"caretaker", "front_line", "it"}, self.doors)
        context.pages.action("/doors/{door}/pulse", set(settings.may_open), self.pulse)

    async def doors(self, request: web.Request) -> web.StreamResponse:
        commands, reports = await self._locks.history(by_people=True)
        devices = self._context.devices
        found = [
            (device, devices.vitals(device.id), self._standing.of(device.id)) for device in devices.of_kind(door.KIND)
        ]
        return await self._context.pages.render(
            request,
            "doors.html",
            doors=[
                (
                    device,
                    vitals,
                    state,
                    None if state.age_seconds is None else now() - timedelta(seconds=state.age_seconds),
                    next((one for one in commands if one.door == device.id), None),
                )
                for device, vitals, state in found
            ],
            names={device.id: device.name for device, _, _ in found},
            commands=commands,
            reports=reports,
            done=DONE,
            happened=HAPPENED,
            alarms=ALARMS,
            may_open=bool(session_of(request).roles & self._settings.may_open),
            pulse_seconds=self._settings.pulse_seconds,
        )

    async def pulse(self, request: web.Request) -> web.StreamResponse:
        reason = str(clean(str((await request.post()).get("reason", ""))))[:MOST_REASON]
        try:
            await self._locks.pulse(request.match_info["door"], session_of(request).account, reason)
        except UnknownDoorError:
            raise web.HTTPNotFound(text="There is no such door.") from None
        except TooManyCommandsError:
            raise web.HTTPTooManyRequests(text="This door has been opened too often. Wait a minute.") from None
        return see("/doors")
