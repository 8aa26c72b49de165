"""Models with the parameters they were trained to, by name."""
