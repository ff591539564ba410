"""The simulation driver: SimPy's virtual time around the real scheduler."""
