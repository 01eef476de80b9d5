"""Opening hours and other days."""
