"""Plugins: state, switches and settings."""
