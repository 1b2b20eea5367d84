"""Heads against their definitions."""

import pytest
import torch
from torch.nn import functional as F

from outfold.models.heads import LinearHead, MultiSampleDropoutHead, build_head
from outfold.settings.network import Head

FEATURES = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))


def test_linear_head_is_dropout_and_a_linear_layer() -> None:
    head = LinearHead(16, 3, dropout=0.4)
    torch.manual_seed(1)
    given = head(FEATURES)
    torch.manual_seed(1)
    expected = F.linear(F.dropout(FEATURES, 0.4), head.linear.weight, head.linear.bias)
    torch.testing.assert_close(given, expected)


def test_multi_sample_dropout_averages_the_logits_of_its_copies() -> None:
    head = MultiSampleDropoutHead(16, 3, dropout=0.5, copies=5)
    torch.manual_seed(1)
    given = head(FEATURES)
    torch.manual_seed(1)
    copies = F.dropout(FEATURES.expand(5, 6, 16), 0.5)
    torch.testing.assert_close(given, torch.stack([head.linear(copy) for copy in copies]).mean(dim=0))


def test_heads_are_equal_in_evaluation_and_share_weights() -> None:
    linear = LinearHead(16, 3, dropout=0.5).eval()
    multi = MultiSampleDropoutHead(16, 3).eval()
    multi.load_state_dict(linear.state_dict())
    assert torch.equal(linear(FEATURES), multi(FEATURES))


def test_more_copies_make_less_noise() -> None:
    def spread(copies: int) -> float:
        torch.manual_seed(0)
        head = MultiSampleDropoutHead(16, 1, 0.5, copies)
        return torch.stack([head(FEATURES[:1]) for _ in range(400)]).std().item()

    assert spread(5) == pytest.approx(spread(1) / 5**0.5, rel=0.25)


def test_build_head_follows_the_recipe() -> None:
    head = build_head(Head(name="multi_sample_dropout", dropout=0.3, copies=7), 16, 3)
    assert isinstance(head, MultiSampleDropoutHead)
    assert (head.dropout, head.copies) == (0.3, 7)
    assert type(build_head(Head(), 16, 3)) is LinearHead
