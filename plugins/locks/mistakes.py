"""What somebody typed that makes no sense: told in their language on the page, and in English to programs."""

from hub.plugin import MistakeError

__all__ = ["MistakeError"]
