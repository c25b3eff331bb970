"""A process of the trainer that another one starts, and that one."""
