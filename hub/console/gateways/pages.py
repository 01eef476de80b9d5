"""The page for broker accounts of gateways and other systems."""

from aiohttp import web
from pydantic import ValidationError

from hub.devices.admission import Admission, TakenNameError, UnknownGatewayError
from hub.devices.gateways import FilterError, Gateways
from hub.web.forms import Form
from hub.web.pages import Pages, see
from hub.web.security import session_of

EMPTY = {"name": "", "filters": "", "announces": True}


class GatewayPages:
    def __init__(self, pages: Pages, gateways: Gateways, admission: Admission) -> None:
        self._pages = pages
        self._gateways = gateways
        self._admission = admission
        pages.page("/accounts", {"it"}, self.show)
        pages.action(
            "/accounts",
            {"it"},
            self.add,
            Form(must=("name", "filters"), may=("announces",), choices={"announces": {"yes"}}),
        )
        pages.action("/accounts/{name}/remove", {"it"}, self.remove)

    async def show(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request)

    async def add(self, request: web.Request) -> web.StreamResponse:
        """The response displays the new password, which is not stored."""
        sent = await request.post()
        name, typed = str(sent.get("name", "")).strip(), str(sent.get("filters", ""))
        filters, announces = typed.split("\n") if typed.strip() else [], sent.get("announces") == "yes"
        filters = [one.strip() for one in filters if one.strip()]
        actor = session_of(request).account
        try:
            secret = await self._admission.add_gateway(name, filters, actor, announces=announces)
        except ValidationError:
            problem = "A name has letters, digits, - and _, 64 at most."
        except (FilterError, TakenNameError) as error:
            problem = str(error)
        else:
            return await self._page(request, made=self._gateways.get(name), secret=secret)
        entered = {"name": name, "filters": typed, "announces": announces}
        return await self._page(request, status=400, problem=problem, typed=entered)

    async def remove(self, request: web.Request) -> web.StreamResponse:
        try:
            await self._admission.remove_gateway(request.match_info["name"], session_of(request).account)
        except UnknownGatewayError:
            raise web.HTTPNotFound(text="There is no such account.") from None
        return see("/accounts")

    async def _page(self, request: web.Request, *, status: int = 200, **values: object) -> web.StreamResponse:
        defaults = {"made": None, "secret": None, "problem": None, "typed": EMPTY}
        return await self._pages.render(
            request, "gateways.html", status=status, gateways=list(self._gateways), **(defaults | values)
        )
