"""Options of ``pytest bench``."""


def pytest_addoption(parser):
    """Add ``--case``."""
    parser.addoption(
        "--case", action="append", help="small, real, all, a group, or a case's name (small)"
    )
