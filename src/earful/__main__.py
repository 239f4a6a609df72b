"""Run the command line with ``python -m earful``."""

from earful.cli import run

if __name__ == "__main__":
    run()
