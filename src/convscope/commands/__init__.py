"""One file a verb: what the command line takes, and how the answer is shown."""
