"""Run the command line as ``python -m firstpassage``."""

from firstpassage.cli import main

if __name__ == "__main__":
    main()
