"""The one kind of error that a user can mend: its message says what is wrong, where, and what to do."""


class UserError(Exception):
    """Something in the user's command, configuration or data stands in the way; shown without a traceback."""
