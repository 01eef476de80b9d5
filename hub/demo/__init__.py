"""The demo town hall, and a simulated fleet."""
