"""What somebody typed that makes no sense: told in their language on the page, and in English to programs."""


class MistakeError(ValueError):
    """`message` stands in the catalogue (`N_`), with `values` in it."""

    def __init__(self, message: str, **values: object) -> None:
        super().__init__(message % values if values else message)
        self.message = message
        self.values = values
