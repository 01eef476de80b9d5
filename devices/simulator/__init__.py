"""Simulations for demo and tests: a mailbox, and fleets of devices."""
