"""Checks whether a valid configuration would work, without changing anything.

`kommunevert check` reports each finding with its line: mistakes, which would prevent something from working, and hints.
`--try` also connects to the servers that the configuration names.
"""

import asyncio
import errno
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from hub.configuration.remarks import Remark
from hub.configuration.settings import IS_READ, Configuration, ConfigurationError, ExternalBroker, OwnBroker
from hub.configuration.shipped import languages
from hub.hub import Hub
from hub.store.folder_lock import holder

if TYPE_CHECKING:
    from hub.hosting.host import HostedPlugin

PLUGIN_SECONDS = 60.0
CONNECT_SECONDS = 10.0


def check_file(path: Path, *, trying: bool) -> tuple[list[str], list[str]]:
    """All mistakes and all hints in this file, with their lines.

    If a plugin's settings are invalid, the others are still checked. Raises ConfigurationError.
    """
    configuration = Configuration.read(path)
    mistakes: list[str] = []
    try:
        hub = Hub(configuration)
    except ConfigurationError as error:
        mistakes = error.mistakes
        try:
            hub = Hub(configuration.without(error.places))
        except ConfigurationError:
            raise error from None
    found = asyncio.run(remarks(hub, trying=trying))
    lines = [(configuration.mistake(remark.where, remark.text), remark.is_hint) for remark in found]
    return [*mistakes, *(text for text, is_hint in lines if not is_hint)], [text for text, is_hint in lines if is_hint]


async def remarks(hub: Hub, *, trying: bool) -> list[Remark]:
    """All remarks. The hub must not be started."""
    found = [*_languages(hub), *_files(hub.settings, ())]
    found += _data_folder(hub)
    found += [remark async for remark in _ports(hub)]
    if trying:
        found += [remark async for remark in _servers(hub)]
    for plugin in hub.host.plugins.values():
        found += [remark async for remark in _of_plugin(plugin, trying=trying)]
    return found


def _languages(hub: Hub) -> Iterator[Remark]:
    known = languages()
    for number, code in enumerate(hub.settings.site.languages):
        if code not in known:
            yield Remark(("site", "languages", number), f"there are no texts in `{code}`; there are {', '.join(known)}")


def _files(section: BaseModel, where: tuple[str | int, ...]) -> Iterator[Remark]:
    """Files that must be readable and are not."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _files(value, (*where, name))
        elif isinstance(value, Path) and (IS_READ in field.metadata or _is_read(field.annotation)):
            try:
                with value.open("rb") as file:
                    file.read(1)
            except OSError as error:
                yield Remark((*where, name), f"{value} cannot be read: {error.strerror}")


def _is_read(annotation: Any) -> bool:
    return annotation == IS_READ or any(map(_is_read, get_args(annotation)))


def _data_folder(hub: Hub) -> Iterator[Remark]:
    folder = hub.settings.data
    try:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{existing} is no folder")
        _require_writable(existing)
    except OSError as error:
        yield Remark(("data",), f"{folder} cannot be used: {error.strerror}")


def _require_writable(folder: Path) -> None:
    """Raises OSError if no file can be created. Uses an unnamed file (open(2), O_TMPFILE), so nothing is changed."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600))
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
            raise OSError(error.errno, f"{folder}: {error.strerror}") from None
        if os.statvfs(folder).f_blocks == 0:  # no file system for files, such as /proc
            raise OSError(error.errno, f"nothing can be stored in {folder}") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, f"{folder}: {os.strerror(errno.EACCES)}") from None


async def _ports(hub: Hub) -> AsyncIterator[Remark]:
    """Ports in use, addresses that are not this machine's, and a broker that is not installed."""
    web, broker = hub.settings.web, hub.settings.broker
    if isinstance(broker, OwnBroker) and shutil.which(broker.program) is None:
        yield Remark(("broker", "program"), f"the program `{broker.program}` is not installed")
    if (process_id := holder(hub.settings.data)) is not None:
        hint = f"a hub runs with this folder (process {process_id}), so that its ports were not tried"
        yield Remark(("data",), hint, is_hint=True)
        return
    wanted = [(("web",), "port", web.host, web.port)]
    if isinstance(broker, OwnBroker):
        wanted += [(("broker",), "port", broker.bind, broker.port)]
        wanted += [(("broker",), "websocket_port", "127.0.0.1", broker.websocket_port)]
        if broker.tls:
            wanted += [(("broker",), "port", broker.bind, broker.port + 1)]
    for section, name, host, port in wanted:
        try:
            for address in await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM):
                _require_free_port(address)
        except socket.gaierror as error:
            yield Remark((*section, "host" if section == ("web",) else "bind"), f"{host}: {error.strerror}")
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                at = (*section, "host" if section == ("web",) else "bind")
                yield Remark(at, f"{host} is not an address of this machine")
            else:
                yield Remark((*section, name), f"port {port} on {host} cannot be used: {error.strerror}")


def _require_free_port(address: Any) -> None:
    """Raises OSError if the port cannot be bound. Does not listen on it."""
    family, kind, protocol, _, socket_address = address
    with socket.socket(family, kind, protocol) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(socket_address)


async def _servers(hub: Hub) -> AsyncIterator[Remark]:
    broker = hub.settings.broker
    if isinstance(broker, ExternalBroker):
        try:
            tls = ssl.create_default_context(cafile=str(broker.ca_file)) if broker.ca_file else None
            async with asyncio.timeout(CONNECT_SECONDS):
                _, writer = await asyncio.open_connection(broker.host, broker.port, ssl=tls)
            writer.close()
        except (OSError, TimeoutError) as error:
            yield Remark(("broker", "host"), f"{broker.host}:{broker.port} cannot be reached: {reason(error)}")
    if not hub.settings.store_url.startswith("sqlite"):
        try:
            await asyncio.to_thread(_connect_database, hub.settings.store_url)
        except SQLAlchemyError as error:
            first = str(getattr(error, "orig", None) or error).splitlines()[0]
            yield Remark(("store", "url"), f"the database cannot be used: {first}")


def _connect_database(url: str) -> None:
    engine = create_engine(url, connect_args={"connect_timeout": int(CONNECT_SECONDS)})
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    finally:
        engine.dispose()


async def _of_plugin(plugin: "HostedPlugin", *, trying: bool) -> AsyncIterator[Remark]:
    where = ("plugins", plugin.name)
    if plugin.state == "failed":
        yield Remark(where, f"the plugin {plugin.reason}")
    if plugin.module is None or plugin.settings is None:
        return
    for remark in _files(plugin.settings, where):
        yield remark
    look_over = getattr(plugin.module.Plugin, "look_over", None)
    if look_over is None:
        return
    try:
        async with asyncio.timeout(PLUGIN_SECONDS):
            for remark in await look_over(plugin.settings, trying=trying):
                yield Remark((*where, *remark.where), remark.text, is_hint=remark.is_hint)
    except Exception as error:  # noqa: BLE001 (a plugin's code may raise anything)
        yield Remark(where, f"could not be looked over: {type(error).__name__}: {error}")


def reason(error: BaseException) -> str:
    """The error for a terminal."""
    return f"no answer within {CONNECT_SECONDS:g} s" if isinstance(error, TimeoutError) else str(error)
