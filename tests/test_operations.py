"""Operations are declared at their handlers, and offered with the object that has them."""

import pytest

from hub.api.operations import Api, Call, Document, Nothing, Query, Request, operation
from hub.hooks.specifications import Role


class LampPath(Query):
    lamp: int


class LampDocument(Document):
    is_on: bool


class Lamp(Request):
    is_on: bool = True


class LampApi:
    def __init__(self, roles: set[Role]) -> None:
        self.roles = roles

    @operation("PUT", "/lamps/{lamp}", summary="Switch", scope="lamps:write", roles=lambda self: self.roles)
    async def switch(self, call: Call[LampPath, Nothing, Lamp]) -> LampDocument:
        return LampDocument(is_on=call.body.is_on and bool(self.roles))

    @operation("DELETE", "/lamps/{lamp}", summary="Break", scope="lamps:write", roles={"it"}, asks_again=True)
    async def drop(self, call: Call[LampPath, Nothing, Nothing]) -> None:
        """Nothing is left."""

    async def aside(self, call: Call[Nothing, Nothing, Nothing]) -> LampDocument:
        raise NotImplementedError


async def untyped(self, call):
    pass


def test_what_the_types_of_a_handler_say() -> None:
    api = Api("lamps")
    api.offer(LampApi({"caretaker"}))
    switch, drop = api.operations
    assert (switch.owner, switch.id, switch.roles) == ("lamps", "put_lamps_lamp", {"caretaker"})
    assert (switch.parameters, switch.query, switch.answer, switch.status) == (LampPath, Nothing, LampDocument, 200)
    assert issubclass(switch.body, Lamp)
    assert switch.body.model_fields["is_on"].is_required(), "a PUT says all"
    assert (drop.body, drop.answer, drop.status) == (Nothing, None, 204)
    assert drop.problems == ("not-found", "password-again")


async def test_each_object_answers_for_itself() -> None:
    api = Api("lamps")
    api.offer(LampApi({"it"}), LampApi(set()))
    call = Call(LampPath(lamp=1), Nothing(), Lamp(), None)
    assert [(await one.handler(call)).is_on for one in api.operations if one.method == "PUT"] == [True, False]


def test_a_handler_without_types_is_told_what_it_lacks() -> None:
    declare = operation("GET", "/lamps", summary="Lamps", scope=None, roles=set())
    for handler in (untyped, LampApi.__init__):
        with pytest.raises(TypeError, match="does not say `call: Call"):
            declare(handler)
