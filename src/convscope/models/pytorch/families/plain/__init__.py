"""Networks of convolutions one after another, from LeNet-5 to VGG."""
