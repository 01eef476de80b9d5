"""The page behind the link in a message: large buttons, no login.

Opening it answers nothing, as mail scanners open links too; pressing a button does.
"""

import asyncio

from aiohttp import web

from hub.plugin import Context
from hub.plugin.web import Form, see
from plugins.notify.service import Notices
from plugins.notify.tokens import Tokens

RETRY_SECONDS, MAX_RETRIES = 0.1, 4


class AnswerPages:
    def __init__(self, context: Context, notices: Notices, tokens: Tokens) -> None:
        self._pages = context.pages
        self._notices = notices
        self._tokens = tokens
        context.pages.public("GET", "/answer/{token}", self.question)
        context.pages.public("POST", "/answer/{token}", self.answer, Form(must=("answer",)))

    async def question(self, request: web.Request) -> web.StreamResponse:
        notice = await self._notices.notice(self._message_id(request))
        if notice is None:
            return await self._pages.render(request, "answer.html", status=404, notice=None)
        retries = 0
        while notice.seen == "not_shown" and retries < MAX_RETRIES:  # the kiosk acknowledges quickly
            await asyncio.sleep(RETRY_SECONDS)
            retries += 1
            notice = await self._notices.notice(notice.id) or notice
        page = await self._pages.render(request, "answer.html", notice=notice)
        if notice.seen == "not_shown":
            page.headers["Refresh"] = "10"
        return page

    async def answer(self, request: web.Request) -> web.StreamResponse:
        message_id = self._message_id(request)
        notice = await self._notices.notice(message_id)
        chosen = str((await request.post()).get("answer", ""))
        if notice is None or chosen not in notice.answers:
            raise web.HTTPBadRequest(text="That is no answer to this message.")
        if notice.is_open:
            await self._notices.answer(message_id, chosen)
        return see(request.path)

    def _message_id(self, request: web.Request) -> str:
        """Raises HTTPNotFound for a token that is not ours."""
        found = self._tokens.message_id(request.match_info["token"])
        if found is None:
            raise web.HTTPNotFound(text="This link is not right. Copy all of it from the message.")
        return found
