"""What training adds to a network: random weights at the start, an optimizer's step, and dropout."""
