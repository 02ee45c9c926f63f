"""Looking inside a network: why it answered so, what it learned, and how easily it is misled."""
