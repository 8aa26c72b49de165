"""How fast phistar trains, measured against its peers: `python -m benchmarks.run`."""
