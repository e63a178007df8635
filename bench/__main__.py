"""``python -m bench``: see ``--help``. Imports nothing unless it is the program itself: peers start here too."""

if __name__ == "__main__":
    import sys

    from bench.cli import main

    sys.exit(main())
