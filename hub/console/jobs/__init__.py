"""Plugins' durable jobs on the console and in the API."""
