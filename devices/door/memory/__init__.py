"""What a controller stores on disk."""
