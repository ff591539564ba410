"""The scheduler, driven only through its port and the questions it answers."""
