"""The command line as ``python -m idmerge``."""

from idmerge.cli import main

if __name__ == "__main__":
    main()
