"""What models reach on real data, beside the same models in PyTorch.

python -m benchmarks.quality [logistic mlp lenet vae] [--seeds 0 1 2]       images
python -m benchmarks.quality.language_models input.txt --model gpt          text
"""
