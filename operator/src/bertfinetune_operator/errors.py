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
    """The API server has answered, and says no: quota, policy, an invalid field, or a webhook that failed."""


class ForbiddenError(RefusedError):
    """The operator has not the right (403), or a policy or a quota is against it."""


class OverloadedError(ClusterError):
    """The API server wants to be asked later (429)."""


class GoneError(ClusterError):
    """The API server does not keep the version any more from which it was to go on (410)."""
