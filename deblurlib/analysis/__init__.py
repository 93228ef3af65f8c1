"""Analysis of measurements: significance, correlation, probes of networks, classical baselines."""
