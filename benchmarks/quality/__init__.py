"""What models reach on real data, beside the same models in PyTorch."""
