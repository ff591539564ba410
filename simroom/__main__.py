"""``python -m simroom`` is the command ``simroom``."""

from simroom.cli.main import main

main()
