"""Hooks that plugins declare in their contracts: none of them, however broken, keeps the others from running."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from hub.hooks.asking import Hooks
from hub.hosting.finding import GROUP
from hub.hosting.host import HostedPlugin, PluginHost
from hub.store.store import Store

CONTRACT = """
from hub.plugin.hooks import question

@question(within_seconds=1)
async def {hook}() -> int:
    raise NotImplementedError
"""


@pytest.fixture
def host() -> PluginHost:
    return PluginHost(lambda: None, Store("sqlite://"))


def folder_plugin(host: PluginHost, folder: Path, name: str, contract: str) -> HostedPlugin:
    """Imported, as far as it can be."""
    code = folder / name
    code.mkdir()
    (code / "contract.py").write_text(contract)
    (code / "__init__.py").write_text(f"from kommunevert_plugin_{name} import contract\nclass Plugin: pass\n")
    plugin = host.plugins[name] = HostedPlugin(name, code)
    host.load(plugin)
    return plugin


def test_a_contract_that_breaks_off_is_its_plugins_failure(host: PluginHost, tmp_path: Path) -> None:
    broken = folder_plugin(host, tmp_path, "breaks_off", CONTRACT.format(hook="half_told") + "1 / 0\n")
    assert (broken.state, broken.reason) == ("failed", "cannot be imported: ZeroDivisionError: division by zero")
    Hooks(host)


def test_two_plugins_cannot_declare_one_hook(host: PluginHost, tmp_path: Path) -> None:
    first, second = (
        folder_plugin(host, tmp_path, name, CONTRACT.format(hook="asked_by_two")) for name in ("first", "second")
    )
    assert (first.state, second.state) == ("loaded", "failed")
    assert "kommunevert_plugin_first.contract declares a hook asked_by_two already" in str(second.reason)
    Hooks(host)


@pytest.mark.parametrize("breaks", ["1 / 0", "raise SystemExit"])
def test_contracts_of_what_is_switched_off_stop_nobody(
    host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: str
) -> None:
    name = f"off_{len(breaks)}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    (tmp_path / name / "contract.py").write_text(f"{breaks}\n")
    monkeypatch.syspath_prepend(tmp_path)
    host.plugins["off"] = HostedPlugin("off", EntryPoint("off", name, GROUP), state="off")
    host.import_contracts()
