"""What a run shows while it runs, and the request to stop it."""
