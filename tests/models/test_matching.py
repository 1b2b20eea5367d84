"""Every tensor of a file finds its place in the model, or is reported."""

import pytest
import timm
import torch
from torch import Tensor, nn

from outfold.errors import WeightsError
from outfold.models.conventions import efficientnet_pytorch_names, torchvision_mobilenet_names
from outfold.models.matching import match_state, require_fit


class Small(nn.Module):
    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        if classes:
            self.fc = nn.Linear(4, classes)


@pytest.fixture
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(Small().state_dict())


@pytest.mark.parametrize(
    "prefix", ["", "module.", "model.", "state_dict.", "state_dict.module.", "_orig_mod.backbone."]
)
def test_any_prefix_is_found_and_reported(state: dict[str, Tensor], prefix: str) -> None:
    matched, report = match_state({prefix + name: tensor for name, tensor in state.items()}, Small())
    assert report.prefix == prefix
    assert report.fits
    assert all(torch.equal(matched[name], state[name]) for name in state)
    assert (repr(prefix) in str(report)) == bool(prefix)


def test_missing_unexpected_and_mismatched_are_reported(state: dict[str, Tensor]) -> None:
    del state["norm.running_var"]
    state["stem.weight"] = torch.zeros(4, 3, 5, 5)
    state["attention.weight"] = torch.zeros(2)
    matched, report = match_state(state, Small())
    assert report.missing == ("norm.running_var",)
    assert report.unexpected == ("attention.weight",)
    assert report.mismatched == (("stem.weight", (4, 3, 5, 5), (4, 3, 3, 3)),)
    assert not report.fits
    assert set(matched) == set(report.loaded)
    with pytest.raises(WeightsError) as error:
        require_fit(report, "a.pth", "small")
    for part in ("a.pth", "small", "norm.running_var", "attention.weight", "4 x 3 x 5 x 5"):
        assert part in str(error.value)


def test_nothing_in_common_is_not_a_fit() -> None:
    _, report = match_state({"other.kernel": torch.ones(1)}, Small())
    assert not report.fits
    assert report.unexpected == ("other.kernel",)


def test_a_counter_of_batches_may_be_missing(state: dict[str, Tensor]) -> None:
    del state["norm.num_batches_tracked"]
    _, report = match_state(state, Small())
    assert report.missing == ("norm.num_batches_tracked",)
    assert report.fits


def test_a_classifier_is_left_out_and_said_so() -> None:
    full = dict(Small(classes=7).state_dict())
    _, report = match_state(full, Small(), classifier=["fc"])
    assert report.fits
    assert report.left_out == ("fc.weight", "fc.bias")
    assert not match_state(full, Small())[1].fits  # unless the model was never meant to have one


def test_the_averaged_copy_is_preferred(state: dict[str, Tensor]) -> None:
    both = {f"state_dict.{n}": torch.zeros_like(t) for n, t in state.items()} | {
        f"state_dict_ema.{n}": t for n, t in state.items()
    }
    matched, report = match_state(both, Small())
    assert torch.equal(matched["stem.weight"], state["stem.weight"])
    assert len(report.left_out) == len(state)


def test_two_equal_copies_are_ambiguous(state: dict[str, Tensor]) -> None:
    twice = {f"{who}.{name}": tensor for who in ("student", "teacher") for name, tensor in state.items()}
    with pytest.raises(WeightsError, match="several times"):
        match_state(twice, Small())


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_the_first_convolution_is_adapted_as_timm_does(channels: int) -> None:
    torch.manual_seed(0)
    full = timm.create_model("test_resnet", num_classes=0)
    target = timm.create_model("test_resnet", num_classes=0, in_chans=channels)
    matched, report = match_state(full.state_dict(), target, first_conv=["conv1.0"])
    assert report.adapted == ("conv1.0.weight",)
    given, adapted = full.state_dict()["conv1.0.weight"], matched["conv1.0.weight"]
    if channels == 1:
        expected = given.sum(dim=1, keepdim=True)
    else:
        expected = given.repeat(1, 2, 1, 1)[:, :channels] * 3 / channels
    torch.testing.assert_close(adapted, expected)


def test_efficientnet_pytorch_names_cover_a_model_with_squeeze_and_excitation() -> None:
    names = list(timm.create_model("efficientnet_b0").state_dict())
    table = efficientnet_pytorch_names(names)
    assert sorted(table.values()) == sorted(names)
    assert table["_bn0.running_mean"] == "bn1.running_mean"
    assert table["_blocks.0._project_conv.weight"] == "blocks.0.0.conv_pw.weight"
    assert table["_blocks.2._bn0.bias"] == "blocks.1.1.bn1.bias"
    assert table["_blocks.2._se_reduce.bias"] == "blocks.1.1.se.conv_reduce.bias"
    assert table["_fc.weight"] == "classifier.weight"


def test_torchvision_mobilenet_names_are_torchvisions() -> None:
    torchvision = pytest.importorskip("torchvision")
    source = torchvision.models.mobilenet_v2(weights=None)
    table = torchvision_mobilenet_names(timm.create_model("mobilenetv2_100").state_dict())
    assert set(table) == set(source.state_dict())


def test_torchvision_weights_compute_the_same_in_timm() -> None:
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    source = torchvision.models.mobilenet_v2(weights=None).train()
    source(torch.randn(4, 3, 64, 64))  # moves the running statistics off their start
    model = timm.create_model("mobilenetv2_100")
    state, report = match_state(source.state_dict(), model)
    require_fit(report, "torchvision", "mobilenetv2_100")
    model.load_state_dict(state)
    photos = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(photos), source.eval()(photos), rtol=1e-4, atol=1e-5)
