"""What schemathesis does besides its own: read by it as SCHEMATHESIS_HOOKS=tests.schemathesis_hooks."""

import re
from typing import Any
from uuid import uuid4

import schemathesis

KEY = "Idempotency-Key"


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """A good key is a new one each time: the same for another request is refused, and rightly so."""
    if case.headers and re.fullmatch(r"[!-~]{1,255}", str(case.headers.get(KEY, ""))):
        case.headers[KEY] = uuid4().hex


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Whoever revokes the token they work with is shut out, and finds nothing more."""
    return not (case.method == "DELETE" and "/tokens/" in case.operation.path and "*" in str(case.headers))
