"""The hub's side of the signer process."""

import asyncio
import sys
from base64 import b64decode, b64encode
from pathlib import Path

import orjson

from devices.contract.door import Command, Signed
from plugins.locks import signer

SIGN_SECONDS = 2.0
KEY_ID = "hub-1"


class SigningError(Exception):
    """The signer refused or does not answer; nothing was signed."""


class Signer:
    def __init__(self, folder: Path, store_url: str) -> None:
        self.problem: str | None = "the signer has not started yet"
        self._key_file = folder / "door-signing.key"
        self._store_url = store_url
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: dict[str, asyncio.Future[dict[str, str]]] = {}
        self._verify_key = ""
        self._asked = 0
        self._ready = asyncio.Event()
        self._asking = asyncio.Lock()

    async def run(self) -> None:
        """Start the process and read its answers. Raises SigningError when it ends; the job starts it again then."""
        self._process = process = await self._start()
        assert process.stdin and process.stdout  # noqa: S101, PT018 (both are pipes)
        try:
            process.stdin.write(self._store_url.encode() + b"\n")  # not in the arguments: it may hold a password
            while line := await process.stdout.readline():
                self._answered(orjson.loads(line))
            raise SigningError("the signer has ended")
        finally:
            self._ready.clear()
            self.problem = "the signer has ended; doors cannot be opened from here"
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), SIGN_SECONDS)
            except TimeoutError:
                process.kill()

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", str(Path(signer.__file__)), str(self._key_file),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    async def verify_key(self) -> str:
        """Hexadecimal, for doors; asked of a signer of its own where none runs. Raises SigningError."""
        async with self._asking:
            if not self._verify_key:
                process = await self._start()
                answer, _ = await process.communicate(b"")
                if process.returncode != 0:
                    raise SigningError("the signer does not start")
                self._verify_key = str(orjson.loads(answer)["verify_key"])
        return self._verify_key

    async def sign(self, command: Command) -> Signed:
        """Raises SigningError."""
        return await self.sign_content(command.payload())

    async def sign_content(self, content: bytes) -> Signed:
        """A command's bytes, a list's or a pass's. Raises SigningError."""
        await self._until_ready(SIGN_SECONDS)
        self._asked += 1
        name = str(self._asked)
        answer: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self._waiting[name] = answer
        assert self._process and self._process.stdin  # noqa: S101, PT018 (it is ready)
        self._process.stdin.write(orjson.dumps({"id": name, "content": b64encode(content).decode()}) + b"\n")
        try:
            found = await asyncio.wait_for(answer, SIGN_SECONDS)
        except TimeoutError:
            raise SigningError("the signer does not answer") from None
        finally:
            self._waiting.pop(name, None)
        if "error" in found:
            raise SigningError(found["error"])
        return Signed.carrying(content, b64decode(found["signature"]), KEY_ID)

    async def _until_ready(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._ready.wait(), seconds)
        except TimeoutError:
            raise SigningError("the signer does not run") from None

    def _answered(self, answer: dict[str, str]) -> None:
        if "verify_key" in answer:
            self._verify_key = answer["verify_key"]
            self.problem = None
            self._ready.set()
        elif (waiting := self._waiting.get(answer["id"])) and not waiting.done():
            waiting.set_result(answer)
