"""A small BERT with random weights in a folder as Hugging Face has it; what PyTorch makes of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from phistar.parameters import write

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "cat", "dog", "sat", "on", "mat", "the", "."]
WIDTH, HIDDEN, LAYERS, HEADS, POSITIONS = 8, 16, 2, 2, 10

CONFIG = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": WIDTH,
    "intermediate_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": POSITIONS,
    "type_vocab_size": 2,
    "vocab_size": len(WORDS),
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
}


def shapes() -> dict[str, tuple[int, ...]]:
    """Every array of a BERT by its name."""
    made: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
    }
    dense = {"pooler.dense": (WIDTH, WIDTH)}
    norms = ["embeddings.LayerNorm"]
    for n in range(LAYERS):
        at = f"encoder.layer.{n}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            dense[f"{at}.attention.{part}"] = (WIDTH, WIDTH)
        dense[f"{at}.intermediate.dense"] = (HIDDEN, WIDTH)
        dense[f"{at}.output.dense"] = (WIDTH, HIDDEN)
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    for name, shape in dense.items():
        made |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        made |= {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}
    return made


def weights(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {n: (0.5 * rng.normal(size=s)).astype(np.float32) for n, s in shapes().items()}


def tokenizer_file(folder: Path) -> None:
    """tokenizer.json, as the package writes it, with fixed padding as MiniLM's has."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    made.enable_padding(length=POSITIONS)
    made.enable_truncation(POSITIONS)
    made.save(str(folder / "tokenizer.json"))


def folder_of(folder: Path, arrays: dict[str, Any], config: dict[str, Any] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    write(folder / "model.safetensors", arrays, metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config or CONFIG))
    return folder


def by_pytorch(arrays: dict[str, Any], text: Any, seen: Any, kind: Any) -> Any:
    """The last hidden states, by torch.nn.TransformerEncoderLayer."""
    import torch

    w = {n: torch.tensor(a) for n, a in arrays.items()}
    x = (
        w["embeddings.word_embeddings.weight"][torch.tensor(text)]
        + w["embeddings.position_embeddings.weight"][: text.shape[1]]
        + w["embeddings.token_type_embeddings.weight"][torch.tensor(kind)]
    )
    x = torch.nn.functional.layer_norm(
        x, (WIDTH,), w["embeddings.LayerNorm.weight"], w["embeddings.LayerNorm.bias"], 1e-12
    )
    for n in range(LAYERS):
        x = layer_by_pytorch(w, f"encoder.layer.{n}.")(
            x, src_key_padding_mask=torch.tensor(seen) == 0
        )
    return x.detach().numpy()


def layer_by_pytorch(w: dict[str, Any], at: str) -> Any:
    import torch

    layer = torch.nn.TransformerEncoderLayer(
        WIDTH, HEADS, HIDDEN, 0.0, "gelu", layer_norm_eps=1e-12, batch_first=True
    ).eval()
    parts = [f"{at}attention.self.{p}." for p in ("query", "key", "value")]
    state = {
        f"self_attn.in_proj_{kind}": torch.cat([w[f"{p}{kind}"] for p in parts])
        for kind in ("weight", "bias")
    }
    for kind in ("weight", "bias"):
        state[f"self_attn.out_proj.{kind}"] = w[f"{at}attention.output.dense.{kind}"]
        state[f"linear1.{kind}"] = w[f"{at}intermediate.dense.{kind}"]
        state[f"linear2.{kind}"] = w[f"{at}output.dense.{kind}"]
        state[f"norm1.{kind}"] = w[f"{at}attention.output.LayerNorm.{kind}"]
        state[f"norm2.{kind}"] = w[f"{at}output.LayerNorm.{kind}"]
    layer.load_state_dict(state)
    return layer
