"""Having a job run now, or never, with its line in the audit log: for the page and the API."""

from sqlalchemy import Connection

from hub.store import audit
from hub.store.store import Store
from hub.work.jobs import Jobs


class UnknownJobError(LookupError):
    """There is no such job, or it is a schedule, which cannot be dropped."""


async def change(store: Store, jobs: Jobs, actor: str, plugin: str, job: str, key: str, *, runs: bool) -> None:
    """Run it now (`runs`), or drop it. Raises UnknownJobError."""

    def write(connection: Connection) -> None:
        if not (jobs.run_now if runs else jobs.drop)(connection, plugin, job, key):
            raise UnknownJobError
        audit.record(connection, actor, "job.run_now" if runs else "job.dropped", f"{plugin}: {job}", {"key": key})

    await store.write(write)
