"""The networks, a family a file, and the parts that several families share."""
