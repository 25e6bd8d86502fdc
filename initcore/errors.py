"""The one error class of the library."""


class InitError(ValueError):
    """Something asked for is impossible: a size, a parameter, a combination.

    The message is one line for people: it names the value, what is allowed, and the way out.
    The command line prints it and exits with 2; a page shows it in place of a result.
    """


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raises InitError unless the value is a whole number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InitError(
            f"{name} = {value}: must be a whole number of at least {low} and at most {high:,}"
        )
