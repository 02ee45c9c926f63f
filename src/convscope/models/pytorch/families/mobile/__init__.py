"""Networks made small: depthwise convolutions, squeezing, compound scaling."""
