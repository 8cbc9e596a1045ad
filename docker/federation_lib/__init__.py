"""What docker/federation runs inside its controllers."""
