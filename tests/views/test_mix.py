"""MixUp and CutMix against their definitions; properties of the targets."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from outfold.settings.learning import Mix
from outfold.views.mix import batch_mixer, cutmix, kept_share, mix_batch, mix_rows, mixup, random_box

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 3, 10, 12), dtype=np.uint8))
TARGET = torch.eye(4)
ORDER = torch.tensor([2, 0, 3, 1])


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_mixup_is_the_weighted_mean(lam):
    images, target = mixup(IMAGES.float(), TARGET, lam, ORDER)
    torch.testing.assert_close(images, lam * IMAGES.float() + (1 - lam) * IMAGES[ORDER].float(), rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(target, lam * TARGET + (1 - lam) * TARGET[ORDER])
    rounded, _ = mixup(IMAGES, TARGET, lam, ORDER)
    assert rounded.dtype == torch.uint8
    assert (rounded.float() - images).abs().max() <= 0.501


def test_cutmix_pastes_the_partner_and_counts_what_it_pasted():
    images, target = cutmix(IMAGES, TARGET, (2, 7, 3, 12), ORDER)
    inside = torch.zeros(10, 12, dtype=torch.bool)
    inside[2:7, 3:12] = True
    torch.testing.assert_close(images, torch.where(inside, IMAGES[ORDER], IMAGES))
    share = 1 - inside.float().mean().item()
    torch.testing.assert_close(target, share * TARGET + (1 - share) * TARGET[ORDER])


@settings(max_examples=80, deadline=None)
@given(
    kinds=st.sampled_from([("mixup",), ("cutmix",), ("mixup", "cutmix")]),
    alpha=st.floats(0.1, 4),
    size=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    rows=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    layout=st.sampled_from([torch.channels_last, torch.contiguous_format]),
    dtype=st.sampled_from([torch.uint8, torch.float32]),
)
def test_targets_sum_to_one_and_count_the_pixels(kinds, alpha, size, rows, seed, layout, dtype):
    # Every pixel of sample i has the value i, so pixels tell whose they are.
    images = torch.arange(rows).view(-1, 1, 1, 1).expand(rows, 3, *size).to(dtype).contiguous(memory_format=layout)
    before = images.clone()
    mixed, target = mix_batch(images, torch.eye(rows), Mix(one_of=kinds, alpha=alpha), np.random.default_rng(seed))
    torch.testing.assert_close(images, before)
    assert mixed.dtype == dtype
    assert mixed.is_contiguous(memory_format=layout)
    torch.testing.assert_close(target.sum(1), torch.ones(rows))
    assert target.min() >= 0
    if kinds == ("cutmix",):
        counted = torch.stack([(mixed == i).float().mean((1, 2, 3)) for i in range(rows)], dim=1)
        torch.testing.assert_close(target, counted, rtol=1e-5, atol=1e-5)
    if kinds == ("mixup",) and dtype == torch.float32:
        torch.testing.assert_close(mixed.mean((1, 2, 3)), target @ torch.arange(rows).float(), rtol=1e-4, atol=1e-4)


def test_probability_and_either_or():
    generator = np.random.default_rng(0)
    mix = Mix(one_of=("mixup", "cutmix"), alpha=1.0, probability=0.5)
    images = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    seen = []
    for _ in range(600):
        mixed, target = mix_batch(images, torch.eye(2), mix, generator)
        if torch.equal(target, torch.eye(2)):
            seen.append("alone")
        else:
            seen.append("cutmix" if torch.isin(mixed, torch.tensor([0.0, 1.0])).all() else "mixup")
    # Half of the batches are left; of the mixed half, half pair each sample with itself.
    shares = {kind: seen.count(kind) / len(seen) for kind in ("alone", "mixup", "cutmix")}
    assert 0.68 < shares["alone"] < 0.84
    assert 0.07 < shares["mixup"] < 0.18
    assert 0.07 < shares["cutmix"] < 0.18


def test_the_same_seed_mixes_the_same_way():
    mix = Mix(one_of=("mixup", "cutmix"))
    first, second = (mix_batch(IMAGES, TARGET, mix, np.random.default_rng(5)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_boxes_have_the_asked_area_before_the_border_cuts_them():
    generator = np.random.default_rng(0)
    shares = np.array([kept_share(random_box(0.75, 200, 300, generator), 200, 300) for _ in range(500)])
    assert shares.min() == pytest.approx(0.75, abs=0.01)
    assert shares.max() < 1
    assert kept_share(random_box(1.0, 200, 300, generator), 200, 300) == 1
    assert 0 <= kept_share(random_box(0.0, 200, 300, generator), 200, 300) < 1


def test_soft_and_regression_targets():
    target = torch.tensor([[0.2, 0.8], [5.0, -1.0]])
    torch.testing.assert_close(mix_rows(target, 0.25, torch.tensor([1, 0])), torch.tensor([[3.8, -0.55], [1.4, 0.35]]))


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_table_rows_are_mixed_with_the_weight_and_the_partners_of_their_photos(kind):
    """With one-hot rows a sample's row is its target: whatever weight and partners a photo got, so did its row."""
    mixer = batch_mixer(Mix(one_of=(kind,), alpha=1.0))
    for seed in range(10):
        generator = np.random.default_rng(seed)
        inputs, target, _ = mixer({"image": IMAGES, "table": TARGET.clone()}, TARGET, None, generator)
        torch.testing.assert_close(inputs["table"], target, rtol=0, atol=0)
        alone, expected = mix_batch(IMAGES, TARGET, Mix(one_of=(kind,), alpha=1.0), np.random.default_rng(seed))
        assert torch.equal(inputs["image"], alone)
        assert torch.equal(target, expected)
