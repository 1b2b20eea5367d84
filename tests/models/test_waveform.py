"""Encoders of raw waveforms, built small with random weights: padding, freezing, rates, and files of weights."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from outfold.errors import DataError, RecipeError, WeightsError
from outfold.models.freeze import set_train_mode, set_trainable
from outfold.models.heads import LinearHead
from outfold.models.network import Network
from outfold.models.waveform import WaveformEncoder, create_waveform_encoder, sounding, whole_frames
from outfold.models.waveform_config import TORCHAUDIO, read_config
from outfold.settings.learning import Freeze, Phase
from outfold.settings.network import Weights
from outfold.training.optim import layers_below_head, parameter_groups

transformers = pytest.importorskip("transformers")

NONE = Weights(source="none")
TINY: dict[str, Any] = {
    "model_type": "hubert",
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16, 16, 16],
    "conv_kernel": [10, 3, 2],
    "conv_stride": [5, 2, 2],
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "feat_extract_norm": "layer",
    "conv_bias": True,
}
BASE = TINY | {"feat_extract_norm": "group", "conv_bias": False}
"""As HuBERT base and AVES: the first layer normalises over time."""
STRIDE, FRAME = 20, 30


def encoder_of(**config: Any) -> WaveformEncoder:
    torch.manual_seed(0)
    return create_waveform_encoder(TINY | config, NONE).module.eval()


def sound(rows: int, samples: int) -> Tensor:
    return torch.randn(rows, samples, generator=torch.Generator().manual_seed(1))


def right_padded(clips: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
    mask = torch.arange(clips.shape[1]) < torch.tensor(lengths)[:, None]
    return clips * mask, mask


@pytest.mark.parametrize("kind", ["hubert", "wav2vec2"])
@pytest.mark.parametrize("stable", [False, True])
def test_features_are_the_mean_over_time_of_the_last_layer(kind: str, stable: bool) -> None:
    torch.manual_seed(0)
    silent = {"mask_time_prob": 0.0, "apply_spec_augment": False, "do_stable_layer_norm": stable}
    shape = {name: value for name, value in TINY.items() if name != "model_type"} | silent
    names = {"hubert": ("HubertModel", "HubertConfig"), "wav2vec2": ("Wav2Vec2Model", "Wav2Vec2Config")}[kind]
    model = getattr(transformers, names[0])(getattr(transformers, names[1])(**shape)).eval()
    clips, mask = right_padded(sound(3, 400), [400, 250, 31])
    with torch.no_grad():
        found = WaveformEncoder(model).eval()(clips, mask)
        answers = model(clips, attention_mask=mask.long()).last_hidden_state
        lengths = model._get_feat_extract_output_lengths(mask.sum(dim=1))
    expected = torch.stack([answer[:length].mean(dim=0) for answer, length in zip(answers, lengths, strict=True)])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("before", [0, 2 * STRIDE, 5 * STRIDE])
def test_padding_on_either_side_changes_nothing(before: int) -> None:
    encoder, clip = encoder_of(), sound(2, 300)
    padded = torch.nn.functional.pad(clip, (before, 7 * STRIDE))
    with torch.no_grad():
        torch.testing.assert_close(encoder(padded), encoder(clip), rtol=1e-4, atol=1e-5)
        masked = encoder(padded + 1e-3, torch.nn.functional.pad(torch.ones_like(clip), (before, 7 * STRIDE)) > 0)
    assert masked.isfinite().all()


def test_sound_lies_between_the_first_sample_and_the_last() -> None:
    clips = torch.tensor([[0, 0, 1, 0, 2, 0], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]]).float()
    assert sounding(clips).int().tolist() == [[0, 0, 1, 1, 1, 0], [1, 0, 0, 0, 0, 0], [1] * 6, [1] * 6]


def test_only_whole_frames_of_sound_count() -> None:
    windows = ((10, 5), (3, 2), (2, 2))
    mask = torch.zeros(3, 130, dtype=torch.bool)
    mask[0, : FRAME + STRIDE] = True
    mask[1, STRIDE + 1 : 3 * STRIDE + FRAME] = True
    mask[2, : FRAME - 1] = True
    frames = whole_frames(mask, windows)
    assert frames.shape == (3, 6)
    assert frames.int().tolist() == [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [1] * 6]


def test_silence_and_scraps_have_finite_features() -> None:
    clips = torch.zeros(2, 200)
    clips[1, 50:55] = 1.0
    with torch.no_grad():
        assert encoder_of()(clips).isfinite().all()
    with pytest.raises(DataError, match="shorter than a frame"):
        encoder_of()(torch.ones(1, FRAME - 1))


def network_of(**config: Any) -> Network:
    encoder = encoder_of(**config)
    return Network(encoder, LinearHead(encoder.num_features, 2), "waveform")


def test_the_front_part_rests_and_the_others_learn() -> None:
    network = network_of(layerdrop=0.0)
    set_trainable(network, Freeze(blocks=("feature_extractor",)))
    set_train_mode(network)
    assert not network.backbone.feature_extractor.training
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1.0)
    network({"waveform": sound(2, 300)}).square().sum().backward()
    optimizer.step()
    still = {name for name, parameter in network.named_parameters() if torch.equal(parameter, before[name])}
    assert {name for name in still if not name.endswith("k_proj.bias")} == {
        name for name in before if name.startswith("backbone.feature_extractor.")
    }  # a key's bias shifts all scores of a query alike, which a softmax does not see


@pytest.mark.parametrize("stable", [False, True])
def test_layers_are_counted_from_the_head(stable: bool) -> None:
    below = layers_below_head(encoder_of(do_stable_layer_norm=stable))
    assert [below[f"encoder.layers.{layer}.attention.q_proj.weight"] for layer in range(3)] == [3, 2, 1]
    assert below["encoder.layer_norm.weight"] == (1 if stable else 4)
    front = {below[name] for name in below if name.startswith("feature_")}
    assert front == {below["encoder.pos_conv_embed.conv.bias"]} == {4}


def test_scales_of_weight_norm_do_not_decay() -> None:
    network = network_of()
    scale = network.backbone.get_parameter("encoder.pos_conv_embed.conv.parametrizations.weight.original0")
    groups = parameter_groups(network, Phase(name="all", epochs=1, layer_decay=0.9), weight_decay=0.1)
    (own,) = [group for group in groups if any(parameter is scale for parameter in group["params"])]
    assert own["weight_decay"] == 0


def spelt(name: str) -> str:
    """A name as files from before weight norm was a parametrization have it."""
    for part, old in (("original0", "weight_g"), ("original1", "weight_v")):
        name = name.replace(f"parametrizations.weight.{part}", old)
    return name


def in_torchaudio(name: str) -> str:
    if name.startswith("encoder."):
        return spelt(name.replace("encoder.", "encoder.transformer.", 1))
    return f"encoder.{name}" if name.startswith("feature_projection.") else name


@pytest.mark.parametrize(
    ("rename", "more", "convention"),
    [
        (lambda name: f"hubert.{name}", ["hubert.masked_spec_embed", "lm_head.weight"], "timm"),
        (spelt, ["masked_spec_embed"], "transformers"),
        (lambda name: f"hubert.{spelt(name)}", ["lm_head.bias"], "transformers"),
        (in_torchaudio, ["aux.weight", "aux.bias"], "torchaudio"),
        (lambda name: f"model.{in_torchaudio(name)}", [], "torchaudio"),
    ],
)
def test_published_files_fit_by_whichever_names(tmp_path: Path, rename: Any, more: list[str], convention: str) -> None:
    theirs = encoder_of(**BASE)
    state = {rename(name): tensor for name, tensor in theirs.state_dict().items()} | dict.fromkeys(more, torch.ones(2))
    torch.save(state, tmp_path / "encoder.pt")
    given = Weights(source="file", path="encoder.pt")
    torch.manual_seed(9)
    backbone = create_waveform_encoder(BASE, given, root=tmp_path)
    assert backbone.report is not None
    assert backbone.report.convention == convention
    assert backbone.feature_count == 32
    for name, tensor in backbone.module.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name]), name


def test_a_folder_holds_what_the_encoder_is_and_its_weights(tmp_path: Path) -> None:
    theirs = encoder_of()
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    ours = create_waveform_encoder(tmp_path, Weights(source="file", path=str(tmp_path))).module.eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(sound(2, 200)), theirs(sound(2, 200)))


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    save_file(encoder_of(num_hidden_layers=2).state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="do not fit this encoder of waveforms"):
        create_waveform_encoder(TINY, Weights(source="file", path=str(tmp_path)))


def test_torchaudios_arguments_say_the_same() -> None:
    theirs = {argument: BASE.get(name, 0.0) for argument, name in TORCHAUDIO.items()}
    theirs["encoder_layer_norm_first"] = False
    layers = [list(layer) for layer in zip(BASE["conv_dim"], BASE["conv_kernel"], BASE["conv_stride"], strict=True)]
    theirs |= {"extractor_mode": "group_norm", "extractor_conv_layer_config": layers, "aux_num_out": None}
    found = {name: list(value) if isinstance(value, tuple) else value for name, value in read_config(theirs).items()}
    assert found.items() >= (BASE | {"do_stable_layer_norm": False}).items()
    assert create_waveform_encoder(theirs, NONE).feature_count == 32


def test_keys_that_name_code_are_not_passed_on() -> None:
    read = read_config(TINY | {"attn_implementation": "kernels/evil", "auto_map": {"AutoModel": "evil.Model"}})
    assert read.keys() == TINY.keys()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "whisper"}, "no encoder that is known here"),
        (TINY | {"model_type": "wav2vec2", "add_adapter": True}, "with an adapter"),
        (TINY | {"hidden_size": 33}, "transformers cannot build"),
    ],
)
def test_other_models_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        create_waveform_encoder(config, NONE)


def test_files_that_are_no_configuration_are_refused(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[]")
    for name in ("list.json", "gone.json"):
        with pytest.raises(WeightsError, match=name):
            read_config(Path(name), tmp_path)


def test_without_transformers_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(RecipeError, match=r"outfold\[waveform\]"):
        create_waveform_encoder(TINY, NONE)
    with pytest.raises(RecipeError, match="not fetched from the hub"):
        create_waveform_encoder(TINY, Weights(source="hub"))
