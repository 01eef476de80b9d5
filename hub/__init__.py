"""The kernel: it knows nothing of visits, doors or screens. Plugins import `hub.plugin`."""
