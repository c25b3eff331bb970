"""The passes: each brings one object's Jobs and status in line with what it asks for."""
