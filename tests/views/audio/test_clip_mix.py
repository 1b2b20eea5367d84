"""Clips added and blended: sounds, soft labels, and masks of secondary labels."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from outfold.training.losses import bce
from outfold.views.audio.mix import Addition, AdditiveMix
from outfold.views.mix import mix_cells, mix_rows

CLIPS = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 500)).astype(np.float32))
ADDITION = Addition(torch.tensor([1, 0, 3, 2]), torch.tensor([0.5, 0.0, 1.0, 0.2]))


def test_clips_are_added_with_their_gain_and_normalised_again():
    mixed = ADDITION.waveforms(CLIPS)
    for row, (partner, gain) in enumerate([(1, 0.5), (0, 0), (3, 1.0), (2, 0.2)]):
        total = CLIPS[row] + gain * CLIPS[partner]
        expected = total / total.std(correction=0) if gain else CLIPS[row]
        torch.testing.assert_close(mixed[row], expected)
    assert torch.isfinite(ADDITION.waveforms(torch.zeros(4, 500))).all()


def test_primary_labels_are_united_and_secondary_ones_joined():
    #                       class 0 is primary of clip 0, secondary of clip 1; class 1 the other way round;
    #                       class 2 is secondary of clip 0 alone
    target = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0.0, 0, 0, 1], [0, 0, 0.3, 0]])
    mask = torch.tensor([[1.0, 0, 0, 1], [0, 1, 1, 1], [1.0, 0, 1, 1], [1, 1, 1, 1]])
    torch.testing.assert_close(ADDITION.target(target)[0], torch.tensor([1.0, 1, 0, 0]))
    torch.testing.assert_close(ADDITION.mask(mask, target)[0], torch.tensor([1.0, 1, 0, 1]))
    # clip 1 stays alone
    torch.testing.assert_close(ADDITION.target(target)[1], target[1])
    torch.testing.assert_close(ADDITION.mask(mask, target)[1], mask[1])
    # soft labels stay soft
    torch.testing.assert_close(ADDITION.target(target)[2], torch.tensor([0, 0, 0.3, 1]))
    torch.testing.assert_close(ADDITION.mask(mask, target)[2], torch.tensor([1.0, 0, 1, 1]))


def test_draws_are_as_asked():
    rng = np.random.default_rng(0)
    addition = AdditiveMix(gain=(0.2, 1.0), p=0.5).draw(4000, rng)
    gains = addition.gain[addition.gain > 0]
    assert len(gains) / 4000 == pytest.approx(0.5, abs=0.03)
    assert gains.min() == pytest.approx(0.2, abs=0.01)
    assert gains.max() == pytest.approx(1, abs=0.01)
    assert gains.mean() == pytest.approx(0.6, abs=0.02)
    assert sorted(addition.order.tolist()) == list(range(4000))


def test_blended_cells_have_the_blended_loss():
    rng = np.random.default_rng(1)
    logits, target = (torch.from_numpy(rng.random((6, 5))) for _ in range(2))
    weight = torch.from_numpy(rng.integers(0, 3, (6, 5)) / 2)
    order, share = torch.from_numpy(rng.permutation(6)), 0.3
    mixed_target, mixed_weight = mix_cells(target, weight, share, order)
    assert mixed_target.min() >= 0
    assert mixed_target.max() <= 1

    def loss(target, weight):
        return weight * F.binary_cross_entropy_with_logits(logits, target, reduction="none")

    expected = share * loss(target, weight) + (1 - share) * loss(target[order], weight[order])
    torch.testing.assert_close(loss(mixed_target, mixed_weight), expected)
    torch.testing.assert_close(bce(logits, mixed_target, mixed_weight), expected.float().mean(), check_dtype=False)
    plain, ones = mix_cells(target, torch.ones_like(target), share, order)
    torch.testing.assert_close(plain, mix_rows(target, share, order))
    torch.testing.assert_close(ones, torch.ones_like(target))
