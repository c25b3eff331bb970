"""Which replica leads, decided on one Lease."""
