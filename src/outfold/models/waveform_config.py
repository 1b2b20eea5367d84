"""What an encoder of waveforms is made of, read from the files that such encoders are published with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outfold.errors import RecipeError, WeightsError

FAMILIES = {"hubert": "Hubert", "wav2vec2": "Wav2Vec2"}
"""`model_type` of a transformers configuration -> what the names of its classes begin with."""

SHAPE = (
    "activation_dropout",
    "attention_dropout",
    "conv_bias",
    "conv_dim",
    "conv_kernel",
    "conv_pos_batch_norm",
    "conv_stride",
    "do_stable_layer_norm",
    "feat_extract_activation",
    "feat_extract_norm",
    "feat_proj_dropout",
    "feat_proj_layer_norm",
    "hidden_act",
    "hidden_dropout",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "layer_norm_eps",
    "layerdrop",
    "num_attention_heads",
    "num_conv_pos_embedding_groups",
    "num_conv_pos_embeddings",
    "num_hidden_layers",
)
"""What of a transformers configuration decides the network; other keys, which may name code, are not passed on."""

TORCHAUDIO: dict[str, str] = {
    "extractor_conv_bias": "conv_bias",
    "encoder_embed_dim": "hidden_size",
    "encoder_projection_dropout": "feat_proj_dropout",
    "encoder_pos_conv_kernel": "num_conv_pos_embeddings",
    "encoder_pos_conv_groups": "num_conv_pos_embedding_groups",
    "encoder_num_layers": "num_hidden_layers",
    "encoder_num_heads": "num_attention_heads",
    "encoder_attention_dropout": "attention_dropout",
    "encoder_ff_interm_features": "intermediate_size",
    "encoder_ff_interm_dropout": "activation_dropout",
    "encoder_dropout": "hidden_dropout",
    "encoder_layer_norm_first": "do_stable_layer_norm",
    "encoder_layer_drop": "layerdrop",
}
"""Arguments of torchaudio's `wav2vec2_model` -> the same in transformers."""


def read_config(config: Path | Mapping[str, Any], root: Path | None = None) -> dict[str, Any]:
    """What an encoder is made of, in the words of transformers; what only training of its kind needs is left out.

    Raises:
        WeightsError: there is no such file, or it is no JSON object.
        RecipeError: the configuration is of another family.
    """
    values = dict(config) if isinstance(config, Mapping) else _read_json((root or Path()) / config)
    if TORCHAUDIO.keys() <= values.keys():
        return _from_torchaudio(values)
    kind = values.get("model_type")
    if kind not in FAMILIES or values.get("add_adapter"):
        raise RecipeError(
            "the configuration is of no encoder that is known here",
            got=f"model_type {kind!r}" + (" with an adapter" if values.get("add_adapter") else ""),
            expected=f"model_type {' or '.join(FAMILIES)} without an adapter, or torchaudio's arguments",
        )
    return {"model_type": kind} | {name: values[name] for name in SHAPE if name in values}


def _read_json(path: Path) -> dict[str, Any]:
    path = path / "config.json" if path.is_dir() else path
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as the configuration of an encoder: {error}") from error
    if not isinstance(values, dict):
        raise WeightsError(f"{path} is no configuration of an encoder", got=type(values).__name__, expected="an object")
    return values


def _from_torchaudio(values: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of torchaudio's `wav2vec2_model`, which serves HuBERT and AVES, in the words of transformers."""
    dims, kernels, strides = zip(*values["extractor_conv_layer_config"], strict=True)
    norm = "group" if values["extractor_mode"] == "group_norm" else "layer"
    front = {"feat_extract_norm": norm, "conv_dim": dims, "conv_kernel": kernels, "conv_stride": strides}
    return {"model_type": "hubert"} | front | {ours: values[theirs] for theirs, ours in TORCHAUDIO.items()}
