"""`python -m voxstudy`: the same as the console script."""

from voxstudy.cli import main

if __name__ == "__main__":
    main()
