"""Words of messages: numbers with their nouns."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Write a number with its noun.

    >>> counted(1, "pair"), counted(0, "pair"), counted(2, "copy", "copies")
    ('1 pair', '0 pairs', '2 copies')

    Args:
        number: How many.
        noun: The noun for one, which may end a phrase, such as "unusable pair".
        plural: The noun for any other number; None for the noun with an s.

    Returns:
        The number and the form of the noun that it asks for.
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
