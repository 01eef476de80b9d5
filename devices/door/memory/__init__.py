"""What a controller keeps on its disk, over restarts."""
