"""Feature maps and gradients of a torch network, and what is made of them."""
