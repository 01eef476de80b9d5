"""Devices: all of them by place, and each with its history."""
