"""d3rlpy speaks to its own developers: a notice of the old gym, a log line per model built."""


def withdraw_gym_notice() -> None:
    """Call before d3rlpy is first imported, which imports the old gym; nothing here uses it."""
    import gym_notices.notices

    gym_notices.notices.notices.clear()


def quiet_d3rlpy() -> None:
    """Call before d3rlpy is first imported, in a program that prints its own results.

    Withdraws gym's notice about NumPy 2 and lets only errors through structlog, d3rlpy's logger. A
    library user who wants the log simply does not call it.
    """
    import logging

    import structlog

    withdraw_gym_notice()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
