"""From encoded pairs to the arrays of a batch."""
