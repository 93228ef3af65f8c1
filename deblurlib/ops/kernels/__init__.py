"""The C and Triton sources of the operators, and the loader that compiles the C ones on first use."""
