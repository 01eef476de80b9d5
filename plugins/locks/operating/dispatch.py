"""Passes verified messages from doors on to the services that store and answer them."""

from nacl.signing import VerifyKey

from devices.contract import door
from plugins.locks.doors.states import DoorStates
from plugins.locks.history.reports import Reports
from plugins.locks.operating.access_requests import AccessRequests
from plugins.locks.operating.service import Locks


class Dispatcher:
    """The `Receiver` of plugins.locks.doors.mqtt."""

    def __init__(self, states: DoorStates, locks: Locks, reports: Reports, access_requests: AccessRequests) -> None:
        self._states = states
        self._locks = locks
        self._reports = reports
        self._access_requests = access_requests

    def key(self, door_id: str) -> VerifyKey | None:
        return self._states.key(door_id)

    async def state(self, state: door.State) -> None:
        if not self._states.update(state):
            return
        finding = self._reports.compare(state)  # before any await: later events must not count towards this state
        changes = self._access_requests.inside.update(state)
        if finding is not None:
            await self._reports.save(finding)  # first: an event that follows must write after this
        await self._states.save(state)
        await self._access_requests.inside.save(changes)

    async def outcome(self, outcome: door.Outcome) -> bool:
        return await self._locks.outcome(outcome)

    async def event(self, event: door.Event) -> bool:
        is_taken = await self._reports.receive(event)
        if is_taken:
            await self._access_requests.inside.event(event)
        return is_taken

    async def access_request(self, shown: door.AccessRequest, read_at: float) -> None:
        await self._access_requests.answer(shown, read_at)
