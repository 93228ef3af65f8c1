"""The implementations that the operators choose from."""
