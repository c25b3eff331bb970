"""Measurements of the trainer that take minutes or hours: its speed beside the reference's, and its accuracy."""
