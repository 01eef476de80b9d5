"""Operations of the HTTP API: their models, and their errors."""

from hub.api.operations import (
    FIRST_YEAR,
    LAST_YEAR,
    Call,
    Caller,
    Document,
    Moment,
    Nothing,
    Page,
    PageQuery,
    Query,
    Request,
    Whole,
    found,
    operation,
    page_of,
)
from hub.web.problems import FieldError, ProblemError

__all__ = [
    "FIRST_YEAR",
    "LAST_YEAR",
    "Call",
    "Caller",
    "Document",
    "FieldError",
    "Moment",
    "Nothing",
    "Page",
    "PageQuery",
    "ProblemError",
    "Query",
    "Request",
    "Whole",
    "found",
    "operation",
    "page_of",
]
