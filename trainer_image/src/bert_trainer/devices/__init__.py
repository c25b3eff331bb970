"""Where a run takes place: on the CPU or on cards."""
