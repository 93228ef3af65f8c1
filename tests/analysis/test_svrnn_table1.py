"""Table 1 of SVRNN as the running network shows it, against the printed one."""

import pytest
import torch
from torch import nn

from deblurlib import papers
from deblurlib.analysis.svrnn_table1 import table_1
from deblurlib.models import create_model


def test_the_running_network_is_table_1_but_for_the_misprint():
    torch.manual_seed(0)
    observed, printed = table_1(create_model("svrnn")), papers.table("svrnn_table1")
    assert observed.parameters.sum() == 9_227_027
    differences = printed.compare(observed[printed.columns].astype(printed.dtypes))
    assert differences.to_numpy().tolist() == [["rnn1", "rnn2"]]


@pytest.mark.parametrize(
    ("layer", "column", "change"),
    [
        ("resize2", "concatenate", lambda model: setattr(model.weight_network, "skips", False)),
        ("conv20", "concatenate", lambda model: setattr(model, "image_skips", False)),
    ],
)
def test_table_1_is_observed_not_declared(layer, column, change):
    """Take a skip link out of the running network, and it is gone from the table (the convolutions
    are cut to fit)."""
    torch.manual_seed(0)
    model = create_model("svrnn", size="small")
    assert isinstance(table_1(model).set_index("layer")[column][layer], str)
    change(model)
    for conv in (
        model.conv21,
        model.conv22,
        model.weight_network.conv13,
        model.weight_network.conv15,
    ):
        conv.register_forward_pre_hook(
            lambda conv, inputs: setattr(
                conv, "weight", nn.Parameter(conv.weight[:, : inputs[0].shape[1]])
            )
        )
    assert not isinstance(table_1(model).set_index("layer")[column][layer], str)


def test_table_1_names_what_it_cannot_follow():
    model = create_model("svrnn", size="small")
    model.conv21.register_forward_pre_hook(lambda conv, inputs: (inputs[0] + 1,))
    with pytest.raises(ValueError, match="conv21 reads something"):
        table_1(model)
