"""Files that come with Kommunevert: `config/` in the repository, `hub/shipped/` in an installed wheel."""

from pathlib import Path

_HUB = Path(__file__).resolve().parents[1]


def languages() -> list[str]:
    """The languages of the console's or devices' pages."""
    folders = (_HUB / "locale", _HUB.parent / "devices" / "locale")
    return sorted({path.parts[-3] for one in folders for path in one.glob("*/LC_MESSAGES/*.po")})


def shipped(name: str) -> Path:
    """The path of `config/<name>`. Raises FileNotFoundError."""
    for folder in (_HUB / "shipped", _HUB.parent / "config"):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"{name} did not come with this installation")
