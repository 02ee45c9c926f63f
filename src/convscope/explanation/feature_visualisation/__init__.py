"""What a network learned: its filters, feature maps and channels, what they see, and where images lie."""
