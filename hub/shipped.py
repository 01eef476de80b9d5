"""Files that come with Kommunevert: `config/` in the repository, `hub/shipped/` in an installed wheel."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The path of `config/<name>`. Raises FileNotFoundError."""
    for folder in (_HERE / "shipped", _HERE.parent / "config"):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"{name} did not come with this installation")
