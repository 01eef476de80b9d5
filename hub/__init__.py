"""The kernel: it knows no kind of device and no visit. Plugins import `hub.plugin`."""
