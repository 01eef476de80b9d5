"""How a new device gets its account by a code, over HTTP.

It makes a claim, a secret that it tells nobody else, and posts it to `/pair`; the answer is the code that it shows. An
administrator types the code on the console. Meanwhile the device posts its claim to `/pair/claim`, and gets its
enrolment once that is done: who sees the code cannot fetch the account.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from devices.contract.enrolment import Enrolment
from devices.contract.payload import Id, Payload

ALPHABET = "CDFGHJKMNPQRTVWXY34679"
"""Nothing that looks like something else (0 O, 1 I L, 2 Z, 5 S, 8 B), and no vowels, so that no word comes of it."""
CODE_LENGTH = 6
VALID_SECONDS = 600
ASK_AGAIN_SECONDS = 2

Claim = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{32,128}$")]
"""At least 128 random bits."""


class PairingRequest(Payload):
    """POST /pair"""

    claim: Claim = Field(repr=False)
    kind: Id = Field(description="what it is as far as it knows; the administrator decides")


class PairingOffer(Payload):
    """The answer to a PairingRequest."""

    code: str
    valid_seconds: int
    address: str = Field(description="the console's page with the code filled in")
    picture: str = Field(description="the address as a QR code: an SVG image as a data address")


class PairingClaim(Payload):
    """POST /pair/claim"""

    claim: Claim = Field(repr=False)


class PairingAnswer(Payload):
    """`gone`: nobody typed the code in time, or the account was fetched already: ask for a new code."""

    state: Literal["waiting", "paired", "gone"]
    enrolment: Enrolment | None = None
    link: str | None = Field(default=None, description="for a browser: the page to go on with, the account in it")
