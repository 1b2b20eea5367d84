"""Losses against torch's own, their definitions and their numerical gradients."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from outfold.errors import RecipeError
from outfold.settings.learning import Loss
from outfold.training.losses import (
    bce,
    build_loss,
    cross_entropy,
    focal,
    focal_bce,
    mse,
    sed_loss,
    smooth_l1,
    smooth_labels,
)
from outfold.views.mix import mix_cells

CLASS_WEIGHT = torch.tensor([0.5, 1.0, 2.0, 0.1])
SIDES = torch.tensor([[0.5], [3.0]])
CLIP = {"frame_share": None}


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def logits() -> Tensor:
    return 3 * torch.randn(6, 4, generator=generator())


@pytest.fixture
def soft() -> Tensor:
    return torch.softmax(torch.randn(6, 4, generator=generator()), dim=1)


@pytest.fixture
def hard() -> Tensor:
    return F.one_hot(torch.tensor([0, 3, 1, 1, 2, 3]), 4).float()


ALL: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": cross_entropy,
    "cross_entropy, weighted": partial(cross_entropy, class_weight=CLASS_WEIGHT),
    "focal": partial(focal, class_weight=CLASS_WEIGHT),
    "focal, gamma 0.5": partial(focal, gamma=0.5),
    "bce": partial(bce, class_weight=SIDES),
    "focal_bce": partial(focal_bce, class_weight=SIDES),
    "focal_bce, gamma 0.5": partial(focal_bce, gamma=0.5),
    "smooth_l1": partial(smooth_l1, beta=0.7),
    "mse": mse,
}
every_loss = pytest.mark.parametrize("loss", ALL.values(), ids=ALL.keys())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("class_weight", [None, CLASS_WEIGHT])
def test_cross_entropy_is_torchs_with_soft_targets(
    logits: Tensor, soft: Tensor, smoothing: float, class_weight: Tensor | None
) -> None:
    ours = build_loss(Loss(name="cross_entropy", label_smoothing=smoothing), "multiclass", class_weight)
    expected = F.cross_entropy(logits, soft, weight=class_weight, label_smoothing=smoothing)
    torch.testing.assert_close(ours(logits, soft, None), expected)


def test_cross_entropy_of_hard_labels_is_torchs(logits: Tensor, hard: Tensor) -> None:
    torch.testing.assert_close(cross_entropy(logits, hard), F.cross_entropy(logits, hard.argmax(dim=1)))


def test_focal_is_its_definition(logits: Tensor, hard: Tensor) -> None:
    p = torch.softmax(logits, dim=1)[hard.bool()]
    alpha = CLASS_WEIGHT[hard.argmax(dim=1)]
    expected = (-alpha * (1 - p) ** 3 * p.log()).mean()
    torch.testing.assert_close(focal(logits, hard, gamma=3.0, class_weight=CLASS_WEIGHT), expected)


def test_focal_with_gamma_0_is_the_loss_without_it(logits: Tensor, soft: Tensor) -> None:
    torch.testing.assert_close(focal(logits, soft, gamma=0.0), cross_entropy(logits, soft))
    torch.testing.assert_close(focal_bce(logits, soft, gamma=0.0), bce(logits, soft))


def test_bce_is_torchs(logits: Tensor, soft: Tensor) -> None:
    torch.testing.assert_close(bce(logits, soft), F.binary_cross_entropy_with_logits(logits, soft))
    pos_weight = torch.tensor([3.0, 1.0, 0.5, 2.0])
    sides = torch.stack([torch.ones(4), pos_weight])
    expected = F.binary_cross_entropy_with_logits(logits, soft, pos_weight=pos_weight)
    torch.testing.assert_close(bce(logits, soft, class_weight=sides), expected)


def test_focal_bce_is_torchvisions(logits: Tensor, hard: Tensor) -> None:
    ops = pytest.importorskip("torchvision.ops")
    expected = ops.sigmoid_focal_loss(logits, hard, alpha=0.25, gamma=2.0, reduction="mean")
    sides = torch.tensor([[0.75], [0.25]])
    torch.testing.assert_close(focal_bce(logits, hard, gamma=2.0, class_weight=sides), expected)


def test_regression_losses_are_torchs(logits: Tensor, soft: Tensor) -> None:
    torch.testing.assert_close(smooth_l1(logits, soft, beta=0.5), F.smooth_l1_loss(logits, soft, beta=0.5))
    torch.testing.assert_close(mse(logits, soft), F.mse_loss(logits, soft))


@every_loss
def test_a_weight_of_0_masks_and_of_2_counts_twice(loss: Callable[..., Tensor], logits: Tensor, soft: Tensor) -> None:
    single = torch.stack([loss(logits[i : i + 1], soft[i : i + 1]) for i in range(6)])
    weight = torch.tensor([0.0, 1.0, 2.0, 1.0, 0.5, 0.0])[:, None]
    torch.testing.assert_close(loss(logits, soft, weight), (single * weight[:, 0]).mean())
    torch.testing.assert_close(loss(logits, soft, weight.expand(6, 4)), loss(logits, soft, weight))


@every_loss
def test_masked_cells_get_no_gradient(loss: Callable[..., Tensor], logits: Tensor, soft: Tensor) -> None:
    mask = torch.ones(6, 4)
    mask[2] = 0
    logits.requires_grad_()
    loss(logits, soft, mask).backward()
    assert logits.grad is not None
    assert not logits.grad[2].any()
    assert logits.grad[[0, 1, 3]].all()


def test_bce_with_a_mask_is_the_mean_over_all_cells(logits: Tensor, soft: Tensor) -> None:
    mask = (torch.arange(24).reshape(6, 4) % 3 > 0).float()
    cells = F.binary_cross_entropy_with_logits(logits, soft, reduction="none")
    torch.testing.assert_close(bce(logits, soft, mask), (cells * mask).sum() / 24)


def test_a_masked_secondary_label_teaches_nothing_either_way(logits: Tensor, hard: Tensor) -> None:
    secondary = torch.zeros(6, 4)
    secondary[0, 1], secondary[1, 3], secondary[5, 0] = 1, 1, 1  # of row 1 it is the primary label as well
    mask = 1 - secondary * (1 - hard)
    assert (mask == 0).sum() == 2
    for ours, cells in ((bce, cells_of(logits, hard)), (focal_bce, focal_cells_of(logits, hard, 2.0))):
        masked = ours(logits, hard, mask)
        torch.testing.assert_close(masked, (cells * mask).sum() / 24)
        torch.testing.assert_close(ours(logits, torch.where(mask == 0, 0.7, hard), mask), masked)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 3.5])
def test_focal_bce_is_its_definition_for_soft_targets_and_weights_of_cells(
    logits: Tensor, soft: Tensor, gamma: float
) -> None:
    weight = torch.rand(6, 4, generator=generator())
    expected = (focal_cells_of(logits, soft, gamma) * weight).mean()
    torch.testing.assert_close(focal_bce(logits, soft, weight, gamma=gamma), expected)


def cells_of(logits: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def focal_cells_of(logits: Tensor, target: Tensor, gamma: float) -> Tensor:
    p = torch.sigmoid(logits)
    yes, no = F.binary_cross_entropy(p, torch.ones_like(p), reduction="none"), -torch.log1p(-p)
    return target * (1 - p) ** gamma * yes + (1 - target) * p**gamma * no


class TestSoundEvents:
    """`sed_loss` against torch's own BCE of probabilities."""

    @pytest.fixture
    def frames(self) -> Tensor:
        return 2 * torch.randn(6, 5, 4, generator=generator())

    @pytest.mark.parametrize("masked", [False, True])
    def test_half_of_the_clip_and_half_of_the_loudest_frame(
        self, logits: Tensor, frames: Tensor, soft: Tensor, masked: bool
    ) -> None:
        mask = (torch.arange(24).reshape(6, 4) % 3 > 0).float() if masked else torch.ones(6, 4)
        loudest = torch.sigmoid(frames).max(dim=1).values
        parts = [F.binary_cross_entropy(p, soft, weight=mask) for p in (torch.sigmoid(logits), loudest)]
        torch.testing.assert_close(sed_loss(logits, frames, soft, mask), 0.5 * parts[0] + 0.5 * parts[1])
        torch.testing.assert_close(sed_loss(logits, frames, soft, mask, frame_share=0.0), parts[0])
        torch.testing.assert_close(sed_loss(logits, frames, soft, mask, frame_share=1.0), parts[1])

    def test_another_loss(self, logits: Tensor, frames: Tensor, soft: Tensor) -> None:
        expected = (focal_bce(logits, soft) + focal_bce(frames.amax(dim=1), soft)) / 2
        torch.testing.assert_close(sed_loss(logits, frames, soft, loss=focal_bce), expected)

    def test_only_the_loudest_frame_learns(self, logits: Tensor, frames: Tensor, hard: Tensor) -> None:
        frames.requires_grad_()
        sed_loss(logits, frames, hard).backward()
        assert frames.grad is not None
        assert ((frames.grad != 0).sum(dim=1) == 1).all()
        assert (frames.grad.abs().argmax(dim=1) == frames.argmax(dim=1)).all()

    def test_shapes_that_do_not_belong_together(self, logits: Tensor, frames: Tensor, hard: Tensor) -> None:
        for wrong in (frames[:, 0], frames.transpose(1, 2), frames[:3], frames[:, :0]):
            with pytest.raises(ValueError, match="not \\(b, t, k\\)"):
                sed_loss(logits, wrong, hard)

    @pytest.mark.parametrize("name", ["bce", "focal_bce"])
    def test_a_recipe_asks_for_a_share_of_the_frames(
        self, logits: Tensor, frames: Tensor, soft: Tensor, name: str
    ) -> None:
        loss = Loss(name=name, frame_share=0.3, label_smoothing=0.1)  # type: ignore[arg-type]
        ours, alone = (build_loss(one, "multilabel", CLASS_WEIGHT) for one in (loss, loss.model_copy(update=CLIP)))
        mask = (torch.arange(24).reshape(6, 4) % 3 > 0).float()
        joined = torch.cat([logits[:, None], frames], dim=1)
        expected = 0.7 * alone(logits, soft, mask) + 0.3 * alone(frames.amax(dim=1), soft, mask)
        torch.testing.assert_close(ours(joined, soft, mask), expected)
        torch.testing.assert_close(ours(logits, soft, mask), alone(logits, soft, mask))


@every_loss
def test_gradients_are_right(loss: Callable[..., Tensor]) -> None:
    logits = torch.randn(3, 4, dtype=torch.float64, generator=generator()).requires_grad_()
    target = torch.softmax(torch.randn(3, 4, dtype=torch.float64, generator=generator()), dim=1)
    weight = torch.rand(3, 4, dtype=torch.float64, generator=generator())
    assert torch.autograd.gradcheck(lambda x: loss(x, target, weight), logits)


@every_loss
@given(scale=st.sampled_from([1e2, 1e4, 1e8]), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_large_logits_stay_finite(loss: Callable[..., Tensor], scale: float, seed: int) -> None:
    torch.manual_seed(seed)
    logits = (scale * torch.randn(4, 4)).requires_grad_()
    value = loss(logits, F.one_hot(torch.randint(4, (4,)), 4).float())
    value.backward()
    assert torch.isfinite(value)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(
    loss: Callable[..., Tensor], logits: Tensor, soft: Tensor, dtype: torch.dtype
) -> None:
    half = logits.to(dtype)
    value = loss(half, soft)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(half.float(), soft))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("cross_entropy", "multiclass"), ("focal", "multiclass"), ("bce", "multilabel"), ("focal_bce", "multilabel")],
)
@pytest.mark.parametrize("width", [1, 4])
def test_mixed_samples_keep_the_weight_of_either(
    logits: Tensor, hard: Tensor, name: str, kind: str, width: int
) -> None:
    loss = build_loss(Loss(name=name, label_smoothing=0.1), kind, CLASS_WEIGHT)  # type: ignore[arg-type]
    weight = torch.rand(6, width, generator=generator())
    weight[1] = 0
    order = torch.tensor([1, 2, 3, 4, 5, 0])
    expected = 0.3 * loss(logits, hard, weight) + 0.7 * loss(logits, hard[order], weight[order])
    torch.testing.assert_close(loss(logits, *mix_cells(hard, weight, 0.3, order)), expected)


def test_smoothing_of_cells_counts_two_classes() -> None:
    target = torch.tensor([[0.0, 1.0]])
    torch.testing.assert_close(smooth_labels(target, 0.2, 2), torch.tensor([[0.1, 0.9]]))
    ours = build_loss(Loss(name="bce", label_smoothing=0.2), "multilabel")
    logits = torch.tensor([[0.3, -2.0]])
    torch.testing.assert_close(ours(logits, target, None), bce(logits, torch.tensor([[0.1, 0.9]])))


def test_defaults_by_task(logits: Tensor, soft: Tensor) -> None:
    expected = {"multiclass": cross_entropy, "binary": bce, "multilabel": bce, "regression": smooth_l1}
    for kind, loss in expected.items():
        torch.testing.assert_close(build_loss(None, kind)(logits, soft, None), loss(logits, soft))


def test_binary_class_weights_are_negative_and_positive() -> None:
    logits, target = torch.tensor([[0.5], [1.0]]), torch.tensor([[0.0], [1.0]])
    cells = F.binary_cross_entropy_with_logits(logits, target, reduction="none")[:, 0]
    ours = build_loss(None, "binary", torch.tensor([0.6, 4.0]))
    torch.testing.assert_close(ours(logits, target, None), (0.6 * cells[0] + 4.0 * cells[1]) / 2)


def test_multilabel_class_weights_weigh_columns(logits: Tensor, soft: Tensor) -> None:
    cells = F.binary_cross_entropy_with_logits(logits, soft, reduction="none")
    ours = build_loss(Loss(name="bce"), "multilabel", CLASS_WEIGHT)
    torch.testing.assert_close(ours(logits, soft, None), (cells * CLASS_WEIGHT).mean())


def test_settings_reach_the_loss(logits: Tensor, soft: Tensor) -> None:
    for loss, kind, expected in [
        (Loss(name="focal", gamma=1.5), "multiclass", focal(logits, soft, gamma=1.5)),
        (Loss(name="focal_bce", gamma=1.5), "binary", focal_bce(logits, soft, gamma=1.5)),
        (Loss(name="smooth_l1", beta=0.3), "regression", smooth_l1(logits, soft, beta=0.3)),
        (Loss(name="mse"), "regression", mse(logits, soft)),
    ]:
        torch.testing.assert_close(build_loss(loss, kind)(logits, soft, None), expected)


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (Loss(name="cross_entropy"), "binary"),
        (Loss(name="cross_entropy"), "multilabel"),
        (Loss(name="mse"), "multiclass"),
        (Loss(name="bce"), "regression"),
    ],
)
def test_a_loss_that_does_not_fit_the_task_is_refused(loss: Loss, kind: str) -> None:
    with pytest.raises(RecipeError, match=f"does not fit a {kind} task"):
        build_loss(loss, kind)  # type: ignore[arg-type]


def test_a_regression_has_no_classes() -> None:
    with pytest.raises(RecipeError, match="label_smoothing"):
        build_loss(Loss(name="mse", label_smoothing=0.1), "regression")
    with pytest.raises(RecipeError, match="class weights"):
        build_loss(None, "regression", CLASS_WEIGHT)
