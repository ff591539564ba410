"""The simulation: its clock, its peers, whole worlds, and random scenarios under the oracle's eyes."""
