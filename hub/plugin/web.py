"""Pages and forms on the console: what a handler uses besides `context.pages`."""

from hub.web.forms import Form, number_in
from hub.web.pages import see
from hub.web.security import session_of

__all__ = [
    "Form",
    "number_in",
    "see",
    "session_of",
]
