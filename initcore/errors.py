"""The one error class of the library."""


class InitError(ValueError):
    """Something asked for is impossible: a size, a parameter, a combination.

    The message is one line for people: it names the value, what is allowed, and the way out.
    The command line prints it and exits with 2; a page shows it in place of a result.
    """
