"""Networks with skip connections, and what stands in them."""
