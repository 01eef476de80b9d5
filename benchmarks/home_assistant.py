"""The peer in P1 and P4: Home Assistant, headless in a folder that is thrown away, spoken to by its WebSocket API.

`make bench-peer` installs it (once, for development) into `.bench/home-assistant`; without it these rows are left out.
"""

import asyncio
import json
import secrets
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from hmac import digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from benchmarks.found_fleet import SENTINEL
from hub.demo.town_hall import free_ports

PROGRAM = Path(__file__).resolve().parents[1] / ".bench" / "home-assistant" / "bin" / "hass"
START_SECONDS = 120


def is_installed() -> bool:
    return PROGRAM.exists()


class HomeAssistant:
    """One that runs. `listen` follows the sentinel, `count` says how many entities there are."""

    def __init__(self, process: asyncio.subprocess.Process, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.pid = process.pid
        self._socket = socket
        self._number = 0

    async def ask(self, **message: Any) -> Any:
        self._number += 1
        await self._socket.send_json({"id": self._number, **message})
        while True:
            answer = await self._socket.receive_json()
            if answer["id"] == self._number and answer["type"] == "result":
                assert answer["success"], answer
                return answer["result"]

    async def count(self) -> int:
        return len(await self.ask(type="get_states"))

    async def until_sentinel(self, is_reached: Callable[[float], bool]) -> float:
        """When its listener had the sentinel's value (perf_counter)."""
        await self.ask(type="subscribe_entities", entity_ids=[f"sensor.{SENTINEL}"])
        number = self._number
        while True:
            message = await self._socket.receive_json()
            if message.get("id") != number or message["type"] != "event":
                continue
            for part in ("a", "c"):
                told = message["event"].get(part, {}).get(f"sensor.{SENTINEL}", {})
                state = told.get("s") or told.get("+", {}).get("s")
                if state and _is_number(state) and is_reached(float(state)):
                    at = time.perf_counter()
                    await self.ask(type="unsubscribe_events", subscription=number)
                    return at


@asynccontextmanager
async def running(broker_port: int, *, history: bool, folder: Path | None = None) -> AsyncIterator[HomeAssistant]:
    """Ready, and connected to the broker. With a folder of an earlier run it is a restart."""
    with TemporaryDirectory(prefix="kommunevert-bench-ha-") as name:
        place = folder or Path(name)
        port = free_ports({"web": None})["web"]
        token = _configure(place, port, broker_port, history=history)
        with (place / "hass.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                PROGRAM, "-c", place, "--skip-pip", stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
                await _until_running(session, f"http://127.0.0.1:{port}/api/config", process)
                async with session.ws_connect(f"ws://127.0.0.1:{port}/api/websocket", max_msg_size=0) as socket:
                    await socket.receive_json()
                    await socket.send_json({"type": "auth", "access_token": token})
                    assert (await socket.receive_json())["type"] == "auth_ok"
                    yield HomeAssistant(process, socket)
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


async def _until_running(session: aiohttp.ClientSession, url: str, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            assert process.returncode is None, "Home Assistant has ended"
            try:
                async with session.get(url) as answer:
                    told = await answer.json()
                    if told["state"] == "RUNNING" and "mqtt" in told["components"]:
                        return
            except (aiohttp.ClientError, json.JSONDecodeError):
                pass
            await asyncio.sleep(0.02)


def _configure(folder: Path, port: int, broker_port: int, *, history: bool) -> str:
    """Straight into its storage: no onboarding, no browser. The access token."""
    lines = [
        "homeassistant: {name: bench, latitude: 52.0, longitude: 5.0, elevation: 0, unit_system: metric, time_zone: UTC}",
        f"http: {{server_host: 127.0.0.1, server_port: {port}}}",
        "api:", "websocket_api:", "logger: {default: error}", "mqtt:", *(["recorder:"] if history else []),
    ]  # fmt: skip
    (folder / "configuration.yaml").write_text("\n".join(lines) + "\n")
    kept = folder / "token"
    if kept.exists():
        return kept.read_text()
    storage = folder / ".storage"
    storage.mkdir(parents=True)
    token_id, key = secrets.token_hex(16), secrets.token_hex(64)
    user = {"id": "0" * 32, "group_ids": ["system-admin"], "is_owner": True, "is_active": True, "name": "bench"}
    refresh = {
        "id": token_id, "user_id": "0" * 32, "client_id": None, "client_name": "bench", "client_icon": None,
        "token_type": "long_lived_access_token", "created_at": "2024-03-01T00:00:00+00:00",
        "access_token_expiration": 315360000.0, "token": secrets.token_hex(64), "jwt_key": key, "last_used_at": None,
        "last_used_ip": None, "credential_id": None, "version": "2024.3.3",
    }  # fmt: skip
    groups = [{"id": f"system-{one}", "name": one} for one in ("admin", "users", "read-only")]
    _store(storage, "auth", {
        "users": [user | {"system_generated": False, "local_only": False}], "groups": groups, "credentials": [],
        "refresh_tokens": [refresh],
    })  # fmt: skip
    _store(storage, "core.config_entries", {"entries": [{
        "entry_id": "b" * 32, "version": 1, "minor_version": 1, "domain": "mqtt", "title": "bench",
        "data": {"broker": "127.0.0.1", "port": broker_port, "discovery": True, "discovery_prefix": "homeassistant"},
        "options": {}, "pref_disable_new_entities": False, "pref_disable_polling": False, "source": "user",
        "unique_id": None, "disabled_by": None,
    }]})  # fmt: skip
    now = int(time.time())
    body = json.dumps({"iss": token_id, "iat": now - 60, "exp": now + 315_000_000}).encode()
    signed = _b64(b'{"alg":"HS256","typ":"JWT"}') + "." + _b64(body)
    token = f"{signed}.{_b64(digest(key.encode(), signed.encode(), sha256))}"
    kept.write_text(token)
    return token


def _store(storage: Path, key: str, data: dict[str, Any]) -> None:
    (storage / key).write_text(json.dumps({"version": 1, "minor_version": 1, "key": key, "data": data}))


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


if __name__ == "__main__":
    sys.exit(0 if is_installed() else 1)
