"""Accounts of people, and who is logged in."""
