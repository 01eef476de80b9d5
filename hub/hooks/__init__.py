"""Hooks: their specifications, asking them, and plugin code kept apart from the rest."""
