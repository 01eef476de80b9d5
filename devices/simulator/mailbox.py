"""The demo's stand-in for the municipality's mail system: takes every mail, delivers none, shows them all.

`python -m devices.simulator.mailbox --smtp-port N --http-port N`: an SMTP server and a page, both on
127.0.0.1 unless told otherwise. /messages.json is the same for tests, /changes an event stream that names
the newest mail.
"""

import argparse
import asyncio
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

from devices.parent import watch_parent
from devices.simulator.mails import Mailbox

PAGES = Path(__file__).with_name("mailbox_pages")
MAX_BYTES = 10_000_000
QUIET_SECONDS = 15.0
HEADERS = {
    "Content-Security-Policy": ("default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
LINK = re.compile(r"https?://[^\s<>\"'`]+", re.IGNORECASE)
MAILBOX = web.AppKey("mailbox", Mailbox)
TEMPLATES = web.AppKey("templates", Environment)
CLOSING = web.AppKey("closing", asyncio.Event)


class Reception:
    """The handler for aiosmtpd, which accepts everything."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        raw = content.encode() if isinstance(content, str) else content or b""
        mail = self._mailbox.put(envelope.mail_from or "", list(envelope.rcpt_tos), raw)
        return f"250 OK mail {mail.id}"


def linked(text: str) -> Markup:
    """Plain text as HTML, with http and https addresses as links and nothing else."""
    parts: list[str] = []
    end = 0
    for found in LINK.finditer(text):
        address = found.group().rstrip(".,;:!?)]»")
        parts += [
            escape(text[end : found.start()]),
            Markup('<a href="{0}" rel="noopener noreferrer" target="_blank">{0}</a>').format(address),
        ]
        end = found.start() + len(address)
    return Markup("").join([*parts, escape(text[end:])])


def application(mailbox: Mailbox, zone: ZoneInfo) -> web.Application:
    """The page, with times in this zone, the JSON and the event stream of this mailbox."""
    templates = Environment(loader=FileSystemLoader(PAGES), autoescape=True)
    templates.filters["linked"] = linked
    templates.filters["local"] = lambda at: at.astimezone(zone)
    app = web.Application()
    app[MAILBOX] = mailbox
    app[TEMPLATES] = templates
    app[CLOSING] = asyncio.Event()
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(_close_streams)
    app.router.add_get("/", _page)
    app.router.add_get("/messages.json", _messages)
    app.router.add_get("/changes", _changes)
    app.router.add_static("/static", PAGES / "static")
    return app


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


async def _close_streams(app: web.Application) -> None:
    app[CLOSING].set()


async def _page(request: web.Request) -> web.Response:
    template = request.app[TEMPLATES].get_template("mailbox.html")
    return web.Response(text=template.render(mails=request.app[MAILBOX].newest_first()), content_type="text/html")


async def _messages(request: web.Request) -> web.Response:
    mails = [
        asdict(mail) | {"received_at": mail.received_at.isoformat()} for mail in request.app[MAILBOX].newest_first()
    ]
    return web.json_response(mails)


async def _changes(request: web.Request) -> web.StreamResponse:
    mailbox, closing = request.app[MAILBOX], request.app[CLOSING]
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    changed = asyncio.Event()
    mailbox.on_change.add(changed.set)
    try:
        await response.write(b": open\n\n")
        while not closing.is_set():
            waits = [asyncio.ensure_future(event.wait()) for event in (changed, closing)]
            await asyncio.wait(waits, timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            newest = next(iter(mailbox.newest_first()), None)
            event = f"data: {newest.id}\n\n" if changed.is_set() and newest else ": quiet\n\n"
            changed.clear()
            await response.write(event.encode())
    except ConnectionError:
        pass  # the page was closed
    finally:
        mailbox.on_change.discard(changed.set)
    return response


async def serve(options: argparse.Namespace, stop: asyncio.Event) -> None:
    """Both servers until `stop`. Raises OSError when a port is taken."""
    loop = asyncio.get_running_loop()
    mailbox = Mailbox()
    reception = Reception(mailbox)

    def session() -> SMTP:
        return SMTP(reception, data_size_limit=MAX_BYTES, enable_SMTPUTF8=True, ident="Demopostkasse")

    smtp = await loop.create_server(session, options.host, options.smtp_port)
    runner = web.AppRunner(application(mailbox, options.time_zone), access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, options.host, options.http_port)
        await site.start()
        ports = [_port(smtp), runner.addresses[0][1]]
        print(f"Demopostkasse: smtp://{options.host}:{ports[0]} http://{options.host}:{ports[1]}/", flush=True)
        await stop.wait()
    finally:
        smtp.close()
        await runner.cleanup()


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise argparse.ArgumentTypeError(f"{name} is no time zone; Europe/Oslo is one") from None


def _port(server: asyncio.Server) -> Any:
    return server.sockets[0].getsockname()[1]


async def _main(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if options.exit_with_parent:
        watch_parent(stop.set)
    await serve(options, stop)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="devices.simulator.mailbox", description=__doc__)
    parser.add_argument("--smtp-port", type=int, required=True, help="0: any free one, said on the first line")
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--time-zone", type=_zone, default="Europe/Oslo", help="of the page (default: %(default)s)")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when standard input ends")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_main(options))
    except OSError as error:
        print(f"Demopostkasse: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
