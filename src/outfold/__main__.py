"""`python -m outfold` is the command line."""

from outfold.cli import main

main()
