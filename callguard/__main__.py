"""``python -m callguard``."""

from callguard.cli import main

main()
