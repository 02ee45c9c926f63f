"""From files to one array of prepared images: decoding, the one preprocessing, and the pixel cache."""
