"""A program: what this machine's cards do, as tables to send back."""
