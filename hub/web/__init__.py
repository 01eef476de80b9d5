"""The web shell: login, menu, live events, health; plugins add their pages to it."""
