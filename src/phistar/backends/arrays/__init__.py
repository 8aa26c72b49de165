"""The array backends: one lowering to array operations, for NumPy and for JAX."""
