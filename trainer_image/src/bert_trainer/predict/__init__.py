"""A program: a finished run's predictions, as a submission to GLUE."""
