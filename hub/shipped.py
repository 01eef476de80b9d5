"""Files that come with Kommunevert: `config/` in the repository, `hub/shipped/` in an installed wheel."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def languages() -> list[str]:
    """Those in which the console or the tablets have their texts."""
    folders = (_HERE / "locale", _HERE.parent / "devices" / "locale")
    return sorted({path.parts[-3] for one in folders for path in one.glob("*/LC_MESSAGES/*.po")})


def shipped(name: str) -> Path:
    """The path of `config/<name>`. Raises FileNotFoundError."""
    for folder in (_HERE / "shipped", _HERE.parent / "config"):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"{name} did not come with this installation")
