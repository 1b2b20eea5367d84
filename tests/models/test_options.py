"""Further arguments of a backbone: given to timm, refused where they cannot work or change nothing."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from outfold.errors import RecipeError, WeightsError
from outfold.models.backbone import create_backbone
from outfold.models.network import build_network
from outfold.models.options import refuse_idle
from outfold.runs.validate import validate
from outfold.settings.network import Weights
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings
from outfold.stages.inputs import photo_settings, vectors_key

NONE = Weights(source="none")
OURS = {"act_layer": "relu", "pad_type": "same"}


def test_options_reach_the_model() -> None:
    torch.manual_seed(0)
    made = create_backbone("mobilenetv1_100", NONE, in_chans=1, options=OURS).module.eval()
    reference = timm.create_model("mobilenetv1_100", num_classes=0, in_chans=1, **OURS).eval()
    reference.load_state_dict(made.state_dict())
    sound = torch.randn(2, 1, 96, 64)
    with torch.no_grad():
        torch.testing.assert_close(made(sound), reference(sound))
    assert not [part for part in made.modules() if isinstance(part, nn.ReLU6)]


def test_a_network_reads_pictures_of_any_number_of_channels() -> None:
    settings = TrainSettings.model_validate({"backbone": "test_efficientnet", "weights": "none"})
    network, stats = build_network(settings, 2, channels=1)
    assert network({"image": torch.randn(2, 1, 32, 32)}).shape == (2, 2)
    assert len(stats.mean) == len(stats.std) == 1


@pytest.mark.parametrize("channels", [2, 3])
def test_weights_of_one_channel_give_equal_channels_what_the_one_gave(tmp_path: Path, channels: int) -> None:
    save_file(timm.create_model("test_efficientnet", in_chans=1).state_dict(), tmp_path / "net.safetensors")
    given = Weights(source="file", path="net.safetensors")
    one, several = (create_backbone("test_efficientnet", given, root=tmp_path, in_chans=c) for c in (1, channels))
    assert one.report is not None
    assert several.report is not None
    assert (one.report.adapted, several.report.adapted) == ((), ("conv_stem.weight",))
    picture = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        expected = one.module.eval()(picture)
        torch.testing.assert_close(several.module.eval()(picture.expand(-1, channels, -1, -1)), expected)


def test_weights_of_several_channels_fit_one_or_several_and_others_do_not(tmp_path: Path) -> None:
    save_file(timm.create_model("test_efficientnet", in_chans=2).state_dict(), tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match=r"conv_stem\.weight is 24 x 2"):
        create_backbone("test_efficientnet", Weights(source="file", path="net.safetensors"), root=tmp_path)


@pytest.mark.parametrize("options", [{"act_lyer": "relu"}, {"act_layer": "rellu"}, {"stem_size": "large"}])
def test_what_timm_refuses_is_told(options: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="timm cannot build the backbone test_efficientnet with these options"):
        create_backbone("test_efficientnet", NONE, options=options)


@pytest.mark.parametrize("name", ["in_chans", "checkpoint_path", "pretrained", "global_pool", "drop_path_rate"])
def test_arguments_that_are_not_the_users_are_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=f"cannot be {name}"):
        create_backbone("test_efficientnet", NONE, options={name: 1})
    with pytest.raises(ValueError, match=f"'{name}' is no option of a backbone"):
        TrainSettings.model_validate({"backbone_options": {name: 1}})


@pytest.mark.parametrize("value", [[1], {"a": 1}, None, float("nan")])
def test_options_are_plain_values(value: object) -> None:
    with pytest.raises(ValueError, match="backbone_options"):
        TrainSettings.model_validate({"backbone_options": {"act_layer": value}})


def test_values_keep_their_kind() -> None:
    options = {"a": True, "b": 1, "c": 1.5, "d": "relu"}
    read = TrainSettings.model_validate({"backbone_options": options}).backbone_options
    assert [type(value) for value in read.values()] == [bool, int, float, str]


@pytest.mark.parametrize("idle", [{"pad_type": "smae"}, {"act_layer": "relu6"}])
def test_options_that_change_nothing_are_refused(idle: dict[str, Any]) -> None:
    def build(options: Any) -> nn.Module:
        return create_backbone("mobilenetv1_100", NONE, options=options).module

    refuse_idle("mobilenetv1_100", OURS, build)
    refuse_idle("mobilenetv1_100", {"drop_rate": 0.1}, build)
    with pytest.raises(RecipeError, match=f"is the same with the option '{next(iter(idle))}'"):
        refuse_idle("mobilenetv1_100", OURS | idle, build)


def test_a_recipe_is_refused_before_anything_is_read(tiny_recipe: dict[str, Any], tmp_path: Path) -> None:
    stage = tiny_recipe["stages"]["fit"] | {"backbone_options": {"act_layer": "relu"}}
    validate(Recipe.model_validate(tiny_recipe | {"stages": {"fit": stage}}), tmp_path)
    stage["backbone_options"] = {"pad_type": "smae"}
    with pytest.raises(RecipeError, match="stage 'fit', member 'a': the backbone test_efficientnet is the same"):
        validate(Recipe.model_validate(tiny_recipe | {"stages": {"fit": stage}}), tmp_path)


def test_vectors_of_another_backbone_are_other_vectors() -> None:
    def key(**options: str) -> str:
        view = {"kind": "embedding", "backbone": "test_efficientnet", "backbone_options": options}
        settings = TrainSettings.model_validate({"view": view})
        photos = photo_settings(settings)
        assert photos is not None
        assert photos.backbone_options == options
        return vectors_key(settings.view, "fp32")

    assert key(act_layer="relu") != key()
