"""What measurements mean: significance, correlation, probes of networks, and classical methods to compare with."""
