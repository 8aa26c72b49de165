"""Layers and losses in phistar's notation. Models of today write theirs out: see `phistar.zoo`."""
