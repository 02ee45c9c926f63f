"""Looking inside a network: why it predicts what it does, what it learned, and how easily it is misled."""
