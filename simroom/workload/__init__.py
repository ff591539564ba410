"""What drives a simulated world: named random streams, distributions, speech and arrivals."""
