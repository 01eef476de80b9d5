"""Plugins: how they are, on or off, and their settings."""
