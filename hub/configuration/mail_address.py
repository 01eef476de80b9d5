"""Validation of mail addresses: RFC 5321, internationalised by RFC 6531 and IDNA (RFC 5891)."""

import unicodedata
from typing import Annotated

import idna
from pydantic import AfterValidator, StringConstraints

from hub.language.mistakes import MistakeError
from hub.language.translation import N_

MAX_LOCAL_BYTES = 64
MAX_BYTES = 254
ATOM = frozenset("!#$%&'*+-/=?^_`{|}~")


def usable_address(address: str) -> str:
    """The address with its domain in ASCII; the part before the @ is unchanged.

    Raises ValueError, with the reason, for an address that no mail can be sent to.
    """
    local, at, domain = unicodedata.normalize("NFC", address.strip()).rpartition("@")
    if not at or not local or not domain:
        raise MistakeError(N_("is no mail address: it has no name before and no domain behind an @"))
    if any(not atom or not all(_may_stand(one) for one in atom) for atom in local.split(".")):
        raise MistakeError(N_("is no mail address: before the @ there is a sign that may not stand there"))
    try:
        ascii_domain = idna.encode(domain.rstrip("."), uts46=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise MistakeError(N_("is no mail address: behind the @ there is no domain")) from None
    if len(local.encode()) > MAX_LOCAL_BYTES or len(local.encode()) + 1 + len(ascii_domain) > MAX_BYTES:
        raise MistakeError(N_("is no mail address: it is too long"))
    return f"{local}@{ascii_domain}"


def _may_stand(one: str) -> bool:
    """`atext`, and RFC 6531's letters; no bidirectional controls or invisible characters."""
    if one.isascii():
        return one.isalnum() or one in ATOM
    return unicodedata.category(one)[0] in "LMNS"


def _checked(address: str) -> str:
    usable_address(address)
    return address.strip()


MailAddress = Annotated[str, StringConstraints(max_length=320), AfterValidator(_checked)]
"""A valid mail address, as it was written."""
