"""Floor plans and where doors are on them, for programs."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from devices.contract import door
from devices.contract.payload import Id, clean
from hub.plugin import Context, MistakeError
from hub.plugin.api import (
    Call,
    Document,
    FieldError,
    Nothing,
    Page,
    PageQuery,
    ProblemError,
    Query,
    Request,
    Whole,
    found,
    operation,
    page_of,
)
from plugins.locks.api.doors import READ, DoorPath
from plugins.locks.plans import MAX_BYTES, Placed, Plan, Plans, UnknownPlanError

Called = Annotated[str, BeforeValidator(clean), StringConstraints(min_length=1, max_length=80)]


class PlanPath(Query):
    plan: int = Field(ge=1, le=2**31 - 1)


class NewPlan(Request):
    """A picture of a floor."""

    name: Called
    picture: str = Field(min_length=1, description=f"SVG of at most {MAX_BYTES // 1000} kB, with a viewBox or a size")


class PlanDocument(Document):
    """A floor plan; `width` and `height` are the picture's own units."""

    id: int
    name: str
    width: float
    height: float


class PlanPage(Page[PlanDocument]):
    """Floor plans, by number."""


class PlacedDocument(Document):
    """Where a door is, in the units of the picture."""

    door: Id
    plan: int
    x: float
    y: float


class WholePlan(PlanDocument):
    """With its picture and its doors."""

    picture: str
    doors: list[PlacedDocument]


class Place(Request):
    """A point outside the picture is moved to its edge."""

    plan: Whole = Field(ge=1, le=2**31 - 1)
    x: float = Field(ge=0, le=1e6)
    y: float = Field(ge=0, le=1e6)


WRITE: dict[str, Any] = {"scope": "doors:set", "roles": {"caretaker", "it"}}


class PlanApi:
    def __init__(self, context: Context, plans: Plans) -> None:
        self._context = context
        self._plans = plans

    @operation("GET", "/door-plans", summary="Floor plans", **READ)
    async def plans(self, call: Call[Nothing, PageQuery, Nothing]) -> PlanPage:
        part, following = page_of(await self._plans.all(), lambda plan: f"{plan.id:010}", call.query)
        return PlanPage(items=[PlanDocument.model_validate(plan) for plan in part], next=following)

    @operation("GET", "/door-plans/{plan}", summary="One floor plan", **READ)
    async def plan(self, call: Call[PlanPath, Nothing, Nothing]) -> WholePlan:
        plan = await self._found(call.path.plan)
        doors = [PlacedDocument.model_validate(at) for at in await self._plans.placed() if at.plan == plan.id]
        return WholePlan(**vars(plan), picture=await self._plans.picture(plan.id), doors=doors)

    @operation("POST", "/door-plans", summary="Add a floor plan", status=201, location="/door-plans/{id}", **WRITE)
    async def add(self, call: Call[Nothing, Nothing, NewPlan]) -> PlanDocument:
        try:
            number = await self._plans.add(call.body.name, call.body.picture.encode(), call.caller.name)
        except MistakeError as error:
            wrong = FieldError(at="body/picture", detail=str(error))
            raise ProblemError("invalid", "Look at `errors`.", errors=[wrong]) from None
        return PlanDocument.model_validate(await self._found(number))

    @operation("DELETE", "/door-plans/{plan}", summary="Drop a floor plan and its doors' places", **WRITE)
    async def drop(self, call: Call[PlanPath, Nothing, Nothing]) -> None:
        try:
            await self._plans.drop(call.path.plan, call.caller.name)
        except UnknownPlanError:
            raise ProblemError("not-found", "There is no such plan.") from None

    @operation("GET", "/doors/{door}/place", summary="Where a door is", **READ)
    async def place(self, call: Call[DoorPath, Nothing, Nothing]) -> PlacedDocument:
        return PlacedDocument.model_validate(await self._placed(call.path.door))

    @operation("POST", "/doors/{door}/place", summary="Put a door on a plan", **WRITE)
    async def put(self, call: Call[DoorPath, Nothing, Place]) -> PlacedDocument:
        device = self._context.devices.get(call.path.door)
        found(device if device is not None and device.kind == door.KIND else None, "such door")
        where = call.body
        try:
            await self._plans.place(where.plan, call.path.door, where.x, where.y, call.caller.name)
        except UnknownPlanError:
            wrong = FieldError(at="body/plan", detail="no such plan")
            raise ProblemError("invalid", "Look at `errors`.", errors=[wrong]) from None
        return PlacedDocument.model_validate(await self._placed(call.path.door))

    @operation("DELETE", "/doors/{door}/place", summary="Take a door off its plan", **WRITE)
    async def take_away(self, call: Call[DoorPath, Nothing, Nothing]) -> None:
        await self._plans.take_away(call.path.door, call.caller.name)

    async def _found(self, number: int) -> Plan:
        return found(next((plan for plan in await self._plans.all() if plan.id == number), None), "such plan")

    async def _placed(self, door_id: str) -> Placed:
        return found(
            next((place for place in await self._plans.placed() if place.door == door_id), None), "place of this door"
        )
