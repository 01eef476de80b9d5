"""The command line: `kommunevert`. A command's code is imported only when it is called."""

import gc
import importlib
from typing import cast

import click

COMMANDS = {
    "run": "running:run",
    "check": "check:check_configuration",
    "demo": "demo:demo",
    "user": "users:user",
    "token": "tokens:token",
    "device": "devices:device",
    "account": "devices:account",
    "broker": "devices:broker",
    "simulate": "devices:simulate",
    "plugin": "plugins:plugin_commands",
    "tls": "certificates:tls",
    "asyncapi": "documents:asyncapi_document",
    "openapi": "documents:openapi_document",
}


class _Commands(click.Group):
    def list_commands(self, _context: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        gc.disable()  # imports create no garbage, and collection takes a tenth of their time
        try:
            return cast("click.Command", getattr(importlib.import_module(f"hub.cli.{module}"), attribute))
        finally:
            gc.enable()


@click.group(cls=_Commands, context_settings={"max_content_width": 100})
@click.version_option(package_name="kommunevert")
def main() -> None:
    """The open hub of a municipality's front desk."""
