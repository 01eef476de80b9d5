"""Plugins' durable jobs: how they stand, and having one run now, or never."""

from datetime import datetime
from typing import Any

from pydantic import Field

from hub.api.operations import Call, Document, Nothing, Page, PageQuery, Request, operation, page_of
from hub.console.jobs.changing import UnknownJobError, change
from hub.store.store import Store
from hub.web.problems import ProblemError
from hub.work.job_rows import JobState
from hub.work.jobs import Jobs


class JobDocument(Document):
    plugin: str
    job: str
    key: str = Field(description="empty for a schedule")
    is_scheduled: bool
    due_at: datetime
    next_at: datetime = Field(description="when it is run; later than `due_at` while a failure is tried again")
    attempts: int = Field(description="that have failed since it was due")
    started_at: datetime | None
    ended_at: datetime | None
    error: str | None = Field(description="the type of the last failure")
    given_up_at: datetime | None


class JobPage(Page[JobDocument]):
    """By plugin, job and key: all schedules, what was given up, and what is due soonest; 500 at most."""


class JobChoice(Request):
    plugin: str = Field(max_length=64)
    job: str = Field(max_length=80)
    key: str = Field(default="", max_length=120)


WRITE: dict[str, Any] = {"scope": "plugins:write", "roles": {"it"}}


class JobApi:
    def __init__(self, store: Store, jobs: Jobs) -> None:
        self._store = store
        self._jobs = jobs

    @operation("GET", "/jobs", summary="What plugins do later", scope="plugins:read", roles={"it"})
    async def jobs(self, call: Call[Nothing, PageQuery, Nothing]) -> JobPage:
        part, following = page_of(await self._jobs.states(), _name, call.query)
        return JobPage(items=[JobDocument.model_validate(one) for one in part], next=following)

    @operation("POST", "/jobs/run-now", summary="Run a job now", problems=("not-found",), **WRITE)
    async def run_now(self, call: Call[Nothing, Nothing, JobChoice]) -> None:
        await self._change(call, runs=True)

    @operation("POST", "/jobs/drop", summary="Never do a job", problems=("not-found",), **WRITE)
    async def drop(self, call: Call[Nothing, Nothing, JobChoice]) -> None:
        await self._change(call, runs=False)

    async def _change(self, call: Call[Nothing, Nothing, JobChoice], *, runs: bool) -> None:
        body = call.body
        try:
            await change(self._store, self._jobs, call.caller.name, body.plugin, body.job, body.key, runs=runs)
        except UnknownJobError:
            raise ProblemError("not-found", "There is no such job any more; it may have been done.") from None


def _name(one: JobState) -> str:
    return f"{one.plugin}/{one.job}/{one.key}"
