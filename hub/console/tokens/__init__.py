"""Tokens, and the page that describes the API."""
