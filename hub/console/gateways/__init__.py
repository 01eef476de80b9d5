"""Accounts on the broker for what is not ours."""
