"""Views, validation loss, and test sets with classes of their own."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback

from tc_clip_pl.evaluation.metrics import LogLoss, build_metrics, compute_metrics
from tc_clip_pl.training import TCCLIPModule
from tests.devices import HostReads


class FixedScores(torch.nn.Module):
    """A model whose logits are the first Y pixels of a video."""

    def __init__(self, num_classes=3):
        super().__init__()
        self.num_classes, self.calls = num_classes, []

    def forward(self, video):
        self.calls.append(len(video))
        return SimpleNamespace(logits=video.flatten(1)[:, : self.num_classes])


@pytest.mark.parametrize("views_per_forward", [1, 2, 5])
def test_views_are_averaged_after_the_softmax_in_chunks(views_per_forward):
    model = FixedScores()
    module = TCCLIPModule(model, views_per_forward=views_per_forward)
    video = torch.randn(2, 5, 1, 3, 2, 2)
    expected = torch.stack([video[:, v].flatten(1)[:, :3].softmax(-1) for v in range(5)]).mean(0)
    torch.testing.assert_close(module(video), expected)
    assert max(model.calls) <= 2 * views_per_forward
    assert sum(model.calls) == 10


def test_validation_loss_counts_real_clips_only():
    module = TCCLIPModule(FixedScores())
    module.val_metrics, module.val_loss = build_metrics(3), LogLoss()
    video, label = torch.randn(4, 2, 1, 3, 2, 2), torch.tensor([0, -1, 2, -1])
    module.validation_step(SimpleNamespace(video=video, label=label), 0)
    module.validation_step(SimpleNamespace(video=video[:1], label=label[1:2]), 1)
    expected = F.nll_loss(module(video).log(), label, ignore_index=-1)
    torch.testing.assert_close(module.val_loss.compute(), expected)
    assert compute_metrics(module.val_metrics).num_clips == 2


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_no_step_waits_for_a_gpu(make_module, make_data, make_trainer, stage):
    found = []

    class Watch(Callback):
        def start(self, *_):
            self.reads = HostReads().__enter__()

        def end(self, *_):
            self.reads.__exit__(None, None, None)
            found.append(self.reads.found)

        on_validation_batch_start = on_test_batch_start = start
        on_validation_batch_end = on_test_batch_end = end

    getattr(make_trainer(Watch()), stage)(make_module(), datamodule=make_data(), verbose=False)
    assert found == [[]] * 3


def test_each_test_set_has_its_own_classes_and_keys(make_module, make_data, make_trainer, make_test_set):
    sets = [
        make_test_set("toy", "split1", ["wave", "jump", "brush hair"]),
        make_test_set("other", "all", ["run", "walk"]),
    ]
    module, trainer = make_module(), make_trainer()
    trainer.test(module, datamodule=make_data(test_sets=sets), verbose=False)
    assert trainer.logged_metrics.keys() == {
        "test/toy/split1/top1", "test/toy/split1/top5", "test/other/all/top1", "test/other/all/top5",
    }  # fmt: skip
    assert [len(module.test_results[1.0][s.name].per_class) for s in sets] == [3, 2]
    assert [module.test_results[1.0][s.name].num_clips for s in sets] == [12, 12]


def test_data_module_without_test_sets_has_one(make_module, make_data, make_trainer):
    module, trainer = make_module(), make_trainer()
    trainer.test(module, datamodule=make_data(), verbose=False)
    assert trainer.logged_metrics.keys() == {"test/data/test/top1", "test/data/test/top5"}
    assert [(entry.dataset, entry.part) for entry in module.test_sets] == [("data", "test")]
