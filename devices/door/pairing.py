"""A controller without an enrolment gets one by a code: it prints the code and waits until somebody has typed it."""

import asyncio
import ipaddress
import os
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
from pydantic import ValidationError

from devices.contract.door import KIND
from devices.contract.enrolment import Enrolment
from devices.contract.pairing import ASK_AGAIN_SECONDS, PairingAnswer, PairingClaim, PairingOffer, PairingRequest
from devices.contract.payload import Payload

M = TypeVar("M", bound=Payload)
ANSWER_SECONDS = 10
LONGEST_WAIT_SECONDS = 30


class PairingError(Exception):
    """The hub cannot be asked for an account this way; the text says what to do."""


async def pair(hub: str, ca_file: Path | None, show: Callable[[PairingOffer], None]) -> Enrolment:
    """`hub` is the address of its pages. Shows a new code whenever the last one is too old; waits for ever.

    Raises PairingError, or OSError when the CA file cannot be read.
    """
    refuse_plain_http(hub)
    tls = ssl.create_default_context(cafile=ca_file)
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=tls)) as session:
        while True:
            claim = secrets.token_urlsafe(32)
            offer = await _post(session, f"{hub}/pair", PairingRequest(claim=claim, kind=KIND), PairingOffer)
            show(offer)
            answer = PairingAnswer(state="waiting")
            while answer.state == "waiting":
                await asyncio.sleep(ASK_AGAIN_SECONDS)
                answer = await _post(session, f"{hub}/pair/claim", PairingClaim(claim=claim), PairingAnswer)
            if answer.link is not None:
                raise PairingError("it was paired as another kind of device than a door; pair it again")
            if answer.enrolment is not None:
                return answer.enrolment


def refuse_plain_http(hub: str) -> None:
    """Raises PairingError: the account, and a door's key, would go over the network for all to read."""
    parts = urlsplit(hub)
    if parts.scheme == "https":
        return
    if parts.scheme != "http" or parts.hostname is None:
        raise PairingError(f"{hub} is no address; https://vert.example.kommune.no is one")
    if parts.hostname != "localhost" and not _is_loopback(parts.hostname):
        raise PairingError(f"{hub}: keys do not go over plain http; give the hub a certificate (docs/configuration.md)")


def save_enrolment(enrolment: Enrolment, path: Path) -> None:
    """Write the enrolment atomically, readable by its owner only. Raises OSError."""
    fresh = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(enrolment.encoded())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


async def _post(session: aiohttp.ClientSession, url: str, message: Payload, model: type[M]) -> M:
    """POST with retries while the hub is away. Raises PairingError when it refuses, or cannot be trusted."""
    wait = 1.0
    while True:
        try:
            async with session.post(url, data=message.encoded()) as answer:
                text = await answer.text()
                if answer.ok:
                    return model.model_validate_json(text)
                if answer.status not in (429, 502, 503, 504):
                    raise PairingError(f"{url} refuses: {text[:300]}")
        except aiohttp.ClientConnectorCertificateError as error:
            raise PairingError(
                f"{url}: its certificate is not trusted; name its authority with --ca: {error}"
            ) from None
        except ValidationError:
            raise PairingError(f"{url} answers, but is no Kommunevert of this version") from None
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass  # retried below
        await asyncio.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
