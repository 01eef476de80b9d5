"""The hub's side of the signer process."""

import asyncio
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import orjson

from devices.contract.door import Signed
from plugins.locks.trust import signer

SIGN_SECONDS = 2.0
ONCE_SECONDS = 20.0
"""Includes starting the process on a busy machine."""


class SigningError(Exception):
    """The signer refused or does not answer; nothing was signed."""


class Signer:
    """Client of the signer process. Keys are named by their ids; HubKeys decides which one signs."""

    def __init__(self, folder: Path, store_url: str) -> None:
        self.problem: str | None = None
        self._folder = folder
        self._store_url = store_url
        self._process: asyncio.subprocess.Process | None = None
        self._has_job = False
        self._wanted = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[dict[str, str]]] = {}
        self._asked = 0
        self._ready = asyncio.Event()

    async def run(self) -> None:
        """Start the process once there is a door, and read its responses.

        Raises SigningError when the process ends; the job then runs again.
        """
        self._has_job = True
        await self._wanted.wait()
        self._process = process = await self._start()
        assert process.stdin and process.stdout  # noqa: S101, PT018 (both are pipes)
        try:
            process.stdin.write(self._store_url.encode() + b"\n")  # not in the arguments: it may hold a password
            while line := await process.stdout.readline():
                self._on_answer(orjson.loads(line))
            raise SigningError("the signer has ended")
        finally:
            self._ready.clear()
            self.problem = "the signer has ended; doors cannot be opened from here"
            process.stdin.close()
            try:
                async with asyncio.timeout(SIGN_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()

    def wake(self) -> None:
        """Start the process, as soon as there is a door."""
        if not self._wanted.is_set():
            self.problem = "the signer has not started yet"
            self._wanted.set()

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", str(Path(signer.__file__)), str(self._folder),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    async def sign(self, content: bytes, key: str) -> Signed:
        """Sign the bytes of a command, list or pass. Raises SigningError."""
        request = {"what": "sign", "key": key, "content": b64encode(content).decode()}
        return Signed.carrying(content, b64decode(await self._ask(request)), key)

    async def make(self, key: str) -> str:
        """Create a key that is stored as active; its verify key in hexadecimal. Raises SigningError."""
        return await self._ask({"what": "make", "key": key})

    async def destroy(self, key: str) -> None:
        """Destroy a key that is stored as retired. Raises SigningError."""
        await self._ask({"what": "destroy", "key": key})

    async def _ask(self, request: dict[str, str]) -> str:
        found = await (self._ask_running(request) if self._has_job else self._ask_once(request))
        if "error" in found:
            raise SigningError(found["error"])
        return found["answer"]

    async def _ask_running(self, request: dict[str, str]) -> dict[str, str]:
        self.wake()
        try:
            async with asyncio.timeout(SIGN_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            raise SigningError("the signer does not run") from None
        self._asked += 1
        name = str(self._asked)
        answer: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self._waiting[name] = answer
        assert self._process and self._process.stdin  # noqa: S101, PT018 (it is ready)
        self._process.stdin.write(orjson.dumps(request | {"id": name}) + b"\n")
        try:
            async with asyncio.timeout(SIGN_SECONDS):
                return await answer
        except TimeoutError:
            raise SigningError("the signer does not answer") from None
        finally:
            self._waiting.pop(name, None)

    async def _ask_once(self, request: dict[str, str]) -> dict[str, str]:
        """Start a process for one request: for command-line tools, which run no jobs."""
        process = await self._start()
        lines = [self._store_url.encode(), orjson.dumps(request | {"id": "1"})]
        try:
            async with asyncio.timeout(ONCE_SECONDS):
                output, _ = await process.communicate(b"\n".join(lines) + b"\n")
        except TimeoutError:
            process.kill()
            raise SigningError("the signer does not answer") from None
        if process.returncode != 0:
            raise SigningError("the signer does not start")
        answer: dict[str, str] = orjson.loads(output.splitlines()[-1])
        return answer

    def _on_answer(self, answer: dict[str, Any]) -> None:
        if "ready" in answer:
            self.problem = None
            self._ready.set()
        elif (waiting := self._waiting.get(answer["id"])) and not waiting.done():
            waiting.set_result(answer)
