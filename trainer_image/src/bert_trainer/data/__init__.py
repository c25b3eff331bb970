"""From a task's files to the ids of its pairs."""
