"""What the user writes: indices, tensors, equations, models, loops, randomness."""
