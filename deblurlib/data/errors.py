"""The error that readers of picture formats share."""


class Unsupported(ValueError):
    """A valid image of an unsupported kind; the message continues "The image PATH …"."""
