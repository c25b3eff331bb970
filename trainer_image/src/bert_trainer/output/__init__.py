"""The output folder: whose it is, and what a run leaves there."""
