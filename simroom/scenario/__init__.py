"""Scenario files: what they may say, loading them, and every problem in them at once."""
