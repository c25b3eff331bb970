"""The operator's errors: what may go wrong outside its own code."""


class SettingsError(ValueError):
    """The operator's environment is incomplete or unreadable."""


class ClusterError(Exception):
    """The API server could not do what it was asked; the same request may succeed later."""

    retry_after = 0.0
    """Seconds the API server wants to be left alone."""


class NotFoundError(ClusterError):
    """The object does not exist (any more)."""


class ConflictError(ClusterError):
    """An object of that name exists already, or the one to change has changed meanwhile."""


class RefusedError(ClusterError):
    """The API server understood the request and says no: quota, policy or an invalid field."""


class OverloadedError(ClusterError):
    """The API server is there and cannot answer now: 429 or 5xx."""
