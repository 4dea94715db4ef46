"""What is wrong with the bytes of an image."""


class NotAnImage(ValueError):
    """The bytes are no image in a format that is read here."""


class Undecodable(ValueError):
    """The bytes look like an image, but give no pixels (truncated, damaged, or too large)."""


class Unencodable(ValueError):
    """The pixels do not fit the format that they are to be written in."""
