"""The requests to the API server, and its clock."""
