"""How good a trained network is, and how it fares as images get worse. Knows no task."""
