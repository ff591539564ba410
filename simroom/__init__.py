"""simroom: simulator and load tester for the scheduling and room routing of live speech translation."""

__version__ = "0.1.0"
