"""The table branch against its layers written out, and where it sits in a network."""

import pytest
import torch
from torch import nn

from outfold.errors import TrainingError
from outfold.models.freeze import set_train_mode, set_trainable
from outfold.models.network import Network, build_network
from outfold.models.table_branch import TableBranch
from outfold.settings.table_inputs import TableInputs
from outfold.settings.train import TrainSettings
from outfold.training.optim import parameter_groups

ROWS = torch.randn(6, 14, generator=torch.Generator().manual_seed(0))


def test_the_published_layers() -> None:
    branch = TableBranch(14, (512, 128), dropout=0.3)
    kinds = [type(layer) for layer in branch.layers]
    dense = [nn.Linear, nn.BatchNorm1d, nn.SiLU]
    assert kinds == [*dense, nn.Dropout, *dense]
    assert branch.layers[3].p == 0.3
    assert [tuple(layer.weight.shape) for layer in branch.layers if isinstance(layer, nn.Linear)] == [
        (512, 14),
        (128, 512),
    ]
    assert branch.width == 128


def test_it_computes_linear_norm_and_silu() -> None:
    branch = TableBranch(14, (8, 5)).eval()
    for layer in branch.layers:
        if isinstance(layer, nn.BatchNorm1d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    expected = ROWS
    for linear, norm in ((branch.layers[0], branch.layers[1]), (branch.layers[4], branch.layers[5])):
        dense = expected @ linear.weight.T + linear.bias
        scaled = (dense - norm.running_mean) / torch.sqrt(norm.running_var + norm.eps) * norm.weight + norm.bias
        expected = scaled * torch.sigmoid(scaled)
    torch.testing.assert_close(branch(ROWS), expected)


def test_the_layers_of_another_published_branch() -> None:
    """Linear, batch norm, ReLU, dropout, twice: the dropout also after the last layer."""
    branch = TableBranch(2, (64, 128), dropout=0.3, activation="relu", last_dropout=0.2)
    dense = [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout]
    assert [type(layer) for layer in branch.layers] == [*dense, *dense]
    assert [layer.p for layer in branch.layers if isinstance(layer, nn.Dropout)] == [0.3, 0.2]


def test_settings_reach_the_branch() -> None:
    table = {"numeric": ["age"], "widths": [4], "activation": "relu", "last_dropout": 0.5}
    settings = TrainSettings.model_validate({"backbone": "test_efficientnet", "weights": "none", "table": table})
    branch = build_network(settings, 3, table_inputs=2)[0].table
    assert isinstance(branch, TableBranch)
    assert [type(layer) for layer in branch.layers] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout]


def test_without_layers_the_head_reads_the_inputs_as_much_as_they_weigh() -> None:
    table = {"numeric": ["age"], "widths": [], "weight": 30}
    settings = TrainSettings.model_validate({"backbone": "test_efficientnet", "weights": "none", "table": table})
    made = build_network(settings, 3, table_inputs=14)[0]
    assert isinstance(made.table, TableBranch)
    assert made.head.linear.in_features == made.backbone.num_features + 14
    assert not list(made.table.parameters())
    torch.testing.assert_close(made.table(ROWS), 30 * ROWS)
    torch.testing.assert_close(made.table.train()(ROWS[:1]), 30 * ROWS[:1])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"weight": 10}, "undone by the batch norm"),
        ({"widths": [], "activation": "relu"}, "`activation` is for the layers"),
        ({"widths": [], "dropout": 0.1}, "`dropout` is for the layers"),
    ],
)
def test_settings_without_effect_are_refused(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        TableInputs.model_validate({"numeric": ["age"], **changes}).refuse_incomplete()


def test_one_row_alone_cannot_train() -> None:
    branch = TableBranch(14, (8,))
    with pytest.raises(TrainingError, match="batch of one row"):
        branch(ROWS[:1])
    assert branch.eval()(ROWS[:1]).shape == (1, 8)


def network() -> tuple[Network, TrainSettings]:
    settings = TrainSettings.model_validate(
        {
            "backbone": "test_efficientnet",
            "weights": "none",
            "view": {"size": 32},
            "table": {"numeric": ["age"], "widths": [16, 4]},
            "phases": [{"name": "head", "epochs": 1, "train": "head", "lr": {"backbone": 1e-4, "head": 1e-2}}],
        }
    )
    return build_network(settings, 3, table_inputs=14)[0], settings


def test_the_head_reads_both() -> None:
    model = network()[0].eval()
    inputs = {"image": torch.randn(6, 3, 32, 32), "table": ROWS}
    features = model.features(inputs)
    joined = torch.cat([features, model.table(ROWS)], dim=1)
    torch.testing.assert_close(model(inputs), model.head(joined))
    torch.testing.assert_close(model.logits(features, {"table": ROWS}), model(inputs))
    other = {**inputs, "table": ROWS + 1}
    torch.testing.assert_close(model.features(other), features, rtol=0, atol=0)
    assert not torch.allclose(model(other), model(inputs))


def test_it_belongs_to_the_head_when_parts_freeze_and_rates_differ() -> None:
    model, settings = network()
    set_trainable(model, "head")
    set_train_mode(model)
    assert model.table.training and model.table.layers[1].training
    assert not any(parameter.requires_grad for parameter in model.backbone.parameters())
    groups = parameter_groups(model, settings.phases[0], weight_decay=0.1)
    rates = {id(parameter): group for group in groups for parameter in group["params"]}
    for name, parameter in model.table.named_parameters():
        group = rates[id(parameter)]
        assert group["lr"] == 1e-2
        assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0), name


def test_a_member_without_table_inputs_has_no_branch() -> None:
    settings = TrainSettings.model_validate({"backbone": "test_efficientnet", "weights": "none", "view": {"size": 32}})
    model = build_network(settings, 3)[0]
    assert model.table is None
    assert {name.split(".")[0] for name in model.state_dict()} == {"backbone", "head"}
