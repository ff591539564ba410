"""Statistics and queueing theory: arithmetic on columns of numbers, whatever they are of."""
