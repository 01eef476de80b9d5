"""Accounts on the broker for what is not ours: gateways such as Zigbee2MQTT, an ESPHome device, a Home Assistant."""

from datetime import datetime
from typing import Any

from pydantic import Field

from devices.contract.payload import Id
from hub.api.operations import Call, Document, Nothing, Page, PageQuery, Query, Request, found, operation, page_of
from hub.devices.admission import Admission, TakenNameError
from hub.devices.gateways import MAX_CHARACTERS, MAX_FILTERS, FilterError, Gateway, Gateways
from hub.web.problems import FieldError, ProblemError


class AccountPath(Query):
    account: Id


class AccountDocument(Document):
    """An account on the broker; its password is known only to whoever got it."""

    name: Id
    filters: list[str] = Field(description="topics that it may write and read")
    announces: bool = Field(description="it may announce devices on homeassistant/#")
    made_at: datetime


class AccountPage(Page[AccountDocument]):
    """Accounts by name."""


class NewAccount(Request):
    name: Id = Field(description="user name and client id")
    filters: list[str] = Field(min_length=1, max_length=MAX_FILTERS, description=f"each at most {MAX_CHARACTERS} long")
    announces: bool = True


class MadeAccount(AccountDocument):
    """An account with its password, which comes this once."""

    password: str


LOOK: dict[str, Any] = {"scope": "accounts:read", "roles": {"it"}}
ACT: dict[str, Any] = {"scope": "accounts:write", "roles": {"it"}}


class AccountApi:
    def __init__(self, gateways: Gateways, admission: Admission) -> None:
        self._gateways = gateways
        self._admission = admission

    @operation("GET", "/accounts", summary="Accounts on the broker", **LOOK)
    async def accounts(self, call: Call[Nothing, PageQuery, Nothing]) -> AccountPage:
        part, following = page_of(self._gateways, lambda gateway: gateway.name, call.query)
        return AccountPage(
            items=[AccountDocument.model_validate(gateway) for gateway in map(_fields, part)], next=following
        )

    @operation("GET", "/accounts/{account}", summary="One account", **LOOK)
    async def account(self, call: Call[AccountPath, Nothing, Nothing]) -> AccountDocument:
        return AccountDocument.model_validate(_fields(self._found(call.path)))

    @operation(
        "POST",
        "/accounts",
        summary="Make an account; one of the same name gets new topics and a new password",
        status=201,
        location="/accounts/{name}",
        problems=("conflict",),
        **ACT,
    )
    async def add(self, call: Call[Nothing, Nothing, NewAccount]) -> MadeAccount:
        wanted = call.body
        try:
            password = await self._admission.add_gateway(
                wanted.name, wanted.filters, call.caller.name, announces=wanted.announces
            )
        except FilterError as error:
            errors = [FieldError(at="body/filters", detail=str(error))]
            raise ProblemError("invalid", "Look at `errors`.", errors=errors) from None
        except TakenNameError as error:
            raise ProblemError("conflict", str(error)) from None
        made = found(self._gateways.get(wanted.name), "such account any more")
        return MadeAccount(**_fields(made), password=password)

    @operation("DELETE", "/accounts/{account}", summary="Take an account away, at once", **ACT)
    async def remove(self, call: Call[AccountPath, Nothing, Nothing]) -> None:
        await self._admission.remove_gateway(self._found(call.path).name, call.caller.name)

    def _found(self, path: AccountPath) -> Gateway:
        return found(self._gateways.get(path.account), "such account")


def _fields(gateway: Gateway) -> dict[str, Any]:
    return {
        "name": gateway.name,
        "filters": list(gateway.filters),
        "announces": gateway.announces,
        "made_at": gateway.made_at,
    }
