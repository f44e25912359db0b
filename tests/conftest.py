"""What holds for every test."""

import signal


def pytest_configure() -> None:
    """Take interrupts as usual, though whoever started the tests may ignore them: children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
