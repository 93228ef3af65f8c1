"""Speed and memory of the operators and of whole networks, measured against plain PyTorch."""
