"""Running model-written Python without trusting it."""
