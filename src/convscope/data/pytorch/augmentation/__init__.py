"""Random changes to batches of training images, uint8 N×C×H×W in and out, other ones for each image."""
