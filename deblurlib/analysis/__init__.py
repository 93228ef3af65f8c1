"""What measurements mean: significance, correlation, probes of networks, classical baselines."""
