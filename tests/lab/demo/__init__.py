"""``make demo``: the whole system on one machine, watched from the outside as its users see it."""
