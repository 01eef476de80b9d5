"""The kernel's own pages and operations, one folder a subject."""
