"""Films as tensors: settings, splits, shots, views, loaders, and wrong options."""

import lightning.pytorch as L
import numpy as np
import pytest
import torch

from datamodules import DataError, SyntheticDataModule, VideoBatch
from datamodules.synthetic.actions import SEEN, UNSEEN
from datamodules.synthetic.drawing import draw_frames
from datamodules.synthetic.film_numbers import TEST_NUMBERS
from datamodules.synthetic.films import draw_film, stack_frames


def module(**settings):
    data = SyntheticDataModule(**{"train_films": 4, "test_films": 2, "num_frames": 4, "image_size": 16, **settings})
    data.setup()
    return data


def names(*groups, actions=SEEN):
    return [action.name for action in actions if action.group in groups]


ALL = ("static", "relational", "order")


@pytest.mark.parametrize(
    ("setting", "groups", "tests"),
    [
        ("standard", ALL, [f"synthetic/{group}" for group in ALL]),
        ("temporal", ALL[1:], ["synthetic/relational", "synthetic/order"]),
        ("static", ALL[:1], ["synthetic/static"]),
    ],
)
def test_groups_of_a_setting_are_tested_apart_among_all_its_names(setting, groups, tests):
    data = module(setting=setting)
    assert data.class_names == names(*groups) and data.num_classes == len(names(*groups))
    assert [test.name for test in data.test_sets] == tests
    assert all(test.class_names == data.class_names for test in data.test_sets)
    for test in data.test_sets:
        tested = {data.class_names[label] for label in data.datasets[test.name].labels}
        assert tested == set(names(test.part))


def test_zero_shot_also_tests_the_unseen_actions():
    data = module(setting="zero_shot")
    assert data.class_names == names(*ALL)
    assert [test.name for test in data.test_sets[3:]] == [f"synthetic_unseen/{group}" for group in ALL]
    assert all(test.class_names == names(*ALL, actions=UNSEEN) for test in data.test_sets[3:])


def test_base_to_novel_trains_on_base():
    data = module(setting="base_to_novel")
    base, novel = data.test_sets
    assert (base.name, novel.name) == ("synthetic/base", "synthetic/novel")
    assert data.class_names == base.class_names == [action.name for action in SEEN if not action.is_novel]
    assert novel.class_names == [action.name for action in SEEN if action.is_novel]
    assert set(data.datasets["train"].labels) == set(data.datasets["synthetic/novel"].labels) == set(range(18))


def test_groups_can_be_chosen():
    data = module(groups=["order"], setting="temporal")
    assert data.class_names == names("order") and [test.part for test in data.test_sets] == ["order"]


def test_no_film_trains_and_tests_and_splits_test_different_films():
    splits = [module(split=split, groups=["static"]) for split in (1, 2, 3)]
    tested = []
    for data in splits:
        train, test = (set(data.datasets[name].video_ids) for name in ("train", "synthetic/static"))
        assert not train & test and len(train) == 4 * 12 and len(test) == 2 * 12
        tested.append(test)
    assert len(set.union(*tested)) == 3 * 24


def test_shots_of_reversed_actions_are_reversed_films():
    films = module(groups=["order"], num_shots=2).datasets["train"].films
    (left, right), rest = (films[:2], films[2:4]), films[4:]
    assert len(rest) == 2 * 10
    assert all(np.array_equal(a.actors[::-1], b.actors) for a, b in zip(left, right, strict=True))


def test_base_lists_of_other_splits_draw_from_the_same_films():
    one, two = (module(setting="base_to_novel", split=split, num_shots=2) for split in (1, 2))
    assert one.datasets["train"].video_ids != two.datasets["train"].video_ids
    assert one.datasets["synthetic/base"].video_ids == two.datasets["synthetic/base"].video_ids


def test_batches_are_the_films_drawn_and_normalized():
    data = module(groups=["static"], num_temporal_views=2, batch_size=3)
    batch = next(iter(data.test_dataloader()[0]))
    made = data.on_after_batch_transfer(batch.to("cpu"), 0)
    assert isinstance(made, VideoBatch) and made.video.shape == (3, 2, 4, 3, 16, 16)
    assert made.label.tolist() == [0, 0, 1] and made.video_id[2] == f"showing_a_blue_disc/{TEST_NUMBERS}"
    film = draw_film(SEEN[1], 0, TEST_NUMBERS)
    frames = draw_frames(stack_frames([film], np.array([[1, 7, 13, 19, 4, 10, 16, 22]])), 16).unflatten(0, (2, 4))
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.options.mean, data.options.std))
    assert torch.allclose(made.video[2], (frames - mean) / std, atol=1e-5)


def test_training_draws_other_frames_in_every_epoch():
    sampler_loader = module(groups=["static"], batch_size=48).train_dataloader()
    batches = []
    for epoch in (0, 1):
        sampler_loader.sampler.set_epoch(epoch)
        batches.append(next(iter(sampler_loader)))
    one, two = batches
    assert sorted(one.video_id) == sorted(two.video_id) and one.video_id != two.video_id
    assert set(one.seed.tolist()).isdisjoint(two.seed.tolist())


def test_validation_has_one_center_view_unless_it_is_that_of_a_test():
    views = {"num_temporal_views": 2, "groups": ["static"]}
    shapes = [next(iter(module(**views, val_views=kind).val_dataloader())).shape for kind in ("center", "test")]
    assert shapes == [(1, 4), (2, 4)]


def test_under_a_trainer():
    class Mean(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Linear(3, 12)

        def training_step(self, batch, batch_idx):
            return torch.nn.functional.cross_entropy(self.net(batch.video.mean((1, 2, 4, 5))), batch.label)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    data = SyntheticDataModule(groups=["static"], train_films=2, test_films=1, num_frames=2, image_size=8)
    silent = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = L.Trainer(max_epochs=1, accelerator="cpu", limit_val_batches=0, **silent)
    trainer.fit(Mean(), datamodule=data)
    assert trainer.global_step == 3


def test_summary_says_which_films():
    summary = module().summary()
    assert {name: split["num_clips"] for name, split in summary["splits"].items()} == {
        "train": 4 * 36,
        **{f"synthetic/{group}": 2 * 12 for group in ALL},
    }
    hashes = [module(**other).summary()["splits"]["train"]["sha256"] for other in ({}, {"world_seed": 1})]
    assert hashes[0] == summary["splits"]["train"]["sha256"] != hashes[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"world_seed": "abc"}, r"The --data\.world_seed is 'abc'; it must be a whole number from 0"),
        ({"world_seed": -1}, r"The --data\.world_seed is -1; it must be a whole number from 0"),
        ({"num_shots": 5}, r"--data\.num_shots is 5, but there are 4 training films"),
        ({"train_films": 0}, r"--data\.train_films is 0; it must be at least 1"),
        ({"test_films": 0}, r"--data\.test_films is 0; it must be at least 1"),
        ({"split": 4}, r"--data\.split is 4; choose one of 1, 2, 3"),
        ({"setting": "fast"}, r"--data\.setting is 'fast'; choose one of standard"),
        ({"groups": ["fast"]}, r"--data\.groups is 'fast'; choose one of static"),
        ({"groups": []}, r"none of the --data\.groups \(none given\); choose from static, relational, order"),
        ({"groups": ["order"], "setting": "static"}, r"The setting static has none of the --data\.groups order"),
        ({"num_spatial_views": 3}, r"--data\.num_spatial_views is 3; choose one of 1"),
        ({"num_frames": 0}, r"--data\.num_frames is 0; it must be at least 1"),
    ],
)
def test_raises_on_wrong_options(settings, message):
    with pytest.raises(DataError, match=message):
        module(**settings)


@pytest.mark.parametrize("name", ["request", "requests"])
def test_there_are_no_files_to_check_or_split(name):
    with pytest.raises(DataError, match=r"^SyntheticDataModule draws its films, so that there are no files to check"):
        getattr(SyntheticDataModule(), name)
