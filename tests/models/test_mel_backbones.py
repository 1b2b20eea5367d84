"""Backbones that published systems put behind mel pictures: timm has them, and they read the pictures' sizes."""

import pytest
import torch

from outfold.models.backbone import create_backbone, feature_maps
from outfold.settings.network import Weights

BACKBONES = {
    "efficientvit_b0": (224, 128),
    "efficientvit_b1": (288, 256),
    "efficientvit_m3": (224, 320),
    "mnasnet_100": (224, 1280),
    "tinynet_b": (224, 1280),
    "mixnet_s": (224, 1536),
    "mobilenetv3_large_100": (224, 960),
    "efficientnet_b0": (224, 1280),
    "tf_efficientnetv2_b0": (224, 1280),
    "tf_efficientnetv2_s": (224, 1280),
}
"""timm name -> side of the picture, channels of its maps."""


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_published_backbone_reads_mel_pictures(name: str, channels: int) -> None:
    side, width = BACKBONES[name]
    with torch.device("meta"):
        backbone = create_backbone(name, Weights(source="none"), in_chans=channels)
        pictures = torch.empty(2, channels, side, side)
        module = backbone.module.eval()
        assert module(pictures).shape == (2, backbone.feature_count)
        maps = feature_maps(module, pictures)
    assert maps.shape[:2] == (2, backbone.map_channels) == (2, width)
    assert len(backbone.mean) == len(backbone.std) == channels
