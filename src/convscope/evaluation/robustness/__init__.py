"""How a network fares as images get worse."""
