"""Networks whose layers see the same maps side by side."""
