"""What doors say, handed to those who keep it."""

from nacl.signing import VerifyKey

from devices.contract import door
from plugins.locks.doors.standing import Standing
from plugins.locks.history.reports import Reports
from plugins.locks.operating.answering import Answers
from plugins.locks.operating.service import Locks


class Heard:
    """`Takes` of the MQTT edge."""

    def __init__(self, standing: Standing, locks: Locks, reports: Reports, answers: Answers) -> None:
        self._standing = standing
        self._locks = locks
        self._reports = reports
        self._answers = answers

    def key(self, door_id: str) -> VerifyKey | None:
        return self._standing.key(door_id)

    async def state(self, state: door.State) -> None:
        if not self._standing.note(state):
            return
        finding = self._reports.compare(state)  # before any wait: events that came after it are not its affair
        changes = self._answers.inside.noted(state)
        if finding is not None:
            await self._reports.keep(finding)  # at once: an event that follows writes later, and further on
        await self._standing.keep(state)
        await self._answers.inside.keep(changes)

    async def outcome(self, outcome: door.Outcome) -> bool:
        return await self._locks.outcome(outcome)

    async def event(self, event: door.Event) -> bool:
        is_taken = await self._reports.take(event)
        if is_taken:
            await self._answers.inside.event(event)
        return is_taken

    async def shown(self, shown: door.AccessRequest, read_at: float) -> None:
        await self._answers.take(shown, read_at)
