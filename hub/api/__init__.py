"""The HTTP API below `/api/v1`: operations of the kernel and of plugins, declared once for both route and OpenAPI."""
