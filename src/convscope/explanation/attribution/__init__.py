"""Which pixels counted for an answer: a file for each way to find out."""
