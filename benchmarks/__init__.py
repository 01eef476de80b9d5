"""What Kommunevert is measured by: `make bench`. Every figure stands beside a limit or a peer from the same run."""
