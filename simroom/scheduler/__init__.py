"""The scheduler itself, sans-I/O: messages and the time in, addressed messages and the next deadline out."""
