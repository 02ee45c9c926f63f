"""What a network is asked: a room for each task."""
