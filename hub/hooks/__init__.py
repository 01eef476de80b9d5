"""Hooks: their specifications, calling them, and the isolation of plugin code."""
