"""Models with the parameters they were trained to: `model, tokenizer = ph.pretrained("minilm-l6")`.

The files of a model are a folder as Hugging Face has it: config.json, weights, tokenizer.json.
"""

from phistar.hub.loading import Pretrained, pretrained
from phistar.hub.tokenizing import Tokenizer

__all__ = ["Pretrained", "Tokenizer", "pretrained"]
