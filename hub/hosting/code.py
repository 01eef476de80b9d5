"""Static analysis of a plugin's code."""

import ast
from collections.abc import Iterator
from pathlib import Path

NOT_CODE = {"tests", "migrations", "__pycache__"}
BLOCKING = {
    "time.sleep",
    "os.system",
    "sqlite3.connect",
    "socket.create_connection",
    "urllib.request.urlopen",
    "subprocess.run",
    "subprocess.call",
    "subprocess.check_call",
    "subprocess.check_output",
}
BLOCKING_PACKAGES = {"requests"}
PUBLIC = ("hub.plugin", "devices.contract", "devices.access")


def files(folder: Path) -> list[Path]:
    """Its Python files, without tests and migrations."""
    return [path for path in sorted(folder.rglob("*.py")) if not NOT_CODE & set(path.relative_to(folder).parts)]


def literal(path: Path, name: str) -> str | None:
    """The value of a module-level assignment `NAME = "…"`; None if there is none."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError, ValueError):
        return None  # the import will report it
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in node.targets):
            return str(node.value.value) if isinstance(node.value, ast.Constant) else None
    return None


def private_imports(folder: Path, name: str) -> Iterator[str]:
    """Imports of the hub, of devices and of other plugins that are not public."""
    for path, tree in _trees(folder):
        for node, module in _imports(tree):
            top, *inner = module.split(".")
            if top.startswith("kommunevert_plugin_") or (top == "plugins" and inner[:1] != [name]):
                if "contract" not in inner[:2]:
                    yield f"{path.name}:{node.lineno}: imports {module}; of another plugin only its contract is public"
            elif top in ("hub", "devices") and not _is_under(module, PUBLIC):
                yield f"{path.name}:{node.lineno}: imports {module}; public are {', '.join(PUBLIC)}"


def _is_under(module: str, names: tuple[str, ...]) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in names)


def blocking_calls(folder: Path) -> Iterator[str]:
    """Blocking calls directly in coroutines; calls through other functions are not detected."""
    for path, tree in _trees(folder):
        names = _names(tree)
        for node in _awaited_code(tree):
            called = _full_name(node.func, names)
            if called in BLOCKING or called.split(".")[0] in BLOCKING_PACKAGES:
                yield f"{path.name}:{node.lineno}: {called} blocks the loop; use asyncio, or asyncio.to_thread"


def undocumented(folder: Path) -> Iterator[str]:
    for path, tree in _trees(folder):
        if not ast.get_docstring(tree):
            yield f"{path.name} has no docstring"


def _trees(folder: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in files(folder):
        try:
            yield path, ast.parse(path.read_text(encoding="utf-8"))
        except SyntaxError:
            continue  # the import reports it


def _imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, one.name) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node, f"{node.module}.{one.name}") for one in node.names)


def _names(tree: ast.AST) -> dict[str, str]:
    """Local name → full name: `sleep` → `time.sleep`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {
                one.asname or one.name.split(".")[0]: one.name if one.asname else one.name.split(".")[0]
                for one in node.names
            }
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return names


def _full_name(node: ast.expr, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_full_name(node.value, names)}.{node.attr}"
    return "?"


def _awaited_code(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls in coroutines, except in functions defined there, which may run in a thread."""
    for coroutine in ast.walk(tree):
        if isinstance(coroutine, ast.AsyncFunctionDef):
            waiting: list[ast.AST] = list(coroutine.body)
            while waiting:
                node = waiting.pop()
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                    continue
                if isinstance(node, ast.Call):
                    yield node
                waiting += ast.iter_child_nodes(node)
