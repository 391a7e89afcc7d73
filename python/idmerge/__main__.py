"""Lets ``python -m idmerge`` do what ``idmerge`` does."""

from idmerge.cli import main

if __name__ == "__main__":
    main()
