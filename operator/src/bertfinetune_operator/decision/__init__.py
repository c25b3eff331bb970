"""From what is seen of a run to what to do and what to write down: functions of values and of the time."""
