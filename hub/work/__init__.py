"""The kernel's background work, and plugins' durable jobs."""
