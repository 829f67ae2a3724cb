"""Pictures with captions: the same draws for any number of processes, and none shared by the two parts."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from datamodules import DataError
from datamodules.synthetic.caption_data_module import CaptionDataModule
from datamodules.synthetic.captions import QUESTIONS, answer, candidates, draw_scene


def lengths(texts):
    """Stands for a tokenizer: the length of each text."""
    return torch.tensor([[len(text)] for text in texts])


@pytest.fixture
def make_data():
    def make(rank=0, world_size=1, **options):
        data = CaptionDataModule(
            lengths, **{"num_scenes": 20, "held_out": 7, "batch_size": 8, "image_size": 16, **options}
        )
        data.trainer = SimpleNamespace(global_rank=rank, world_size=world_size)
        data.setup()
        return data

    return make


def films_of(data, part):
    dataset = data.datasets[part]
    return dataset.frames.actors.unflatten(0, (len(dataset), -1)).numpy()


def batches_of(data, epoch=0):
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader)


def test_batches_are_whole_and_drawn(make_data):
    data = make_data()
    batches = batches_of(data)
    assert [len(batch.tokens) for batch in batches] == [8, 8]
    batch = data.on_after_batch_transfer(batches[0], 0)
    assert batch.pixels.shape == (8, 3, 16, 16) and batch.pixels.dtype == torch.float32
    assert 0.3 < batch.pixels.std() < 3


def test_two_processes_see_the_batches_of_one(make_data):
    whole, *parts = (batches_of(make_data(*process)) for process in ((0, 1), (0, 2), (1, 2)))
    for batch, *shares in zip(whole, *parts, strict=True):
        for name in ("tokens", "answers"):
            assert torch.equal(getattr(batch, name), torch.cat([getattr(share, name) for share in shares]))
        assert torch.equal(batch.frames.actors, torch.cat([share.frames.actors for share in shares]))


def test_each_epoch_shows_other_frames_and_captions(make_data):
    data = make_data(batch_size=20)
    first, again, second = (batches_of(data, epoch)[0] for epoch in (0, 0, 1))
    assert torch.equal(first.frames.actors, again.frames.actors)
    assert not torch.equal(first.frames.actors.sum((1, 2)).sort()[0], second.frames.actors.sum((1, 2)).sort()[0])


def test_captions_belong_to_their_pictures(make_data):
    data = make_data(num_scenes=40, batch_size=40)
    dataset = data.datasets["train"]
    (batch,) = batches_of(data)
    order = [key.index for key in data.train_dataloader().sampler]
    for row, number in enumerate(order):
        captions = dataset.scenes[number].captions
        assert batch.tokens[row].item() in [len(caption) for caption in captions]
        assert (films_of(data, "train")[number] == batch.frames.actors[row].numpy()).all((1, 2)).any()


def test_answers_are_those_of_the_scenes_and_padding_has_none(make_data):
    data = make_data(rank=1, world_size=2)  # scenes 1, 3, 5, and a padding
    (batch,) = data.val_dataloader()
    looks = [data.datasets["val"].scenes[number].action.look for number in (1, 3, 5)]
    for column, question in enumerate(QUESTIONS):
        texts = candidates(question)
        expected = [texts.index(found) if (found := answer(question, look)) else -1 for look in looks]
        assert batch.answers[:, column].tolist() == [*expected, -1]


def test_held_out_films_are_not_trained_on(make_data, monkeypatch):
    scene = draw_scene(np.random.default_rng(0))  # one kind for all: only the numbers of the films differ
    monkeypatch.setattr("datamodules.synthetic.caption_data_module.draw_scene", lambda rng: scene)
    data = make_data()
    train, held_out = ({film.tobytes() for film in films_of(data, part)} for part in ("train", "val"))
    assert len(train) == 20 and len(held_out) == 7
    assert not train & held_out


def test_held_out_pictures_are_always_the_same(make_data):
    first, second = (next(iter(make_data().val_dataloader())) for _ in range(2))
    assert torch.equal(first.frames.actors, second.frames.actors)


def test_batch_must_fit(make_data):
    with pytest.raises(DataError, match="21 pictures is larger than the 20 scenes"):
        make_data(batch_size=21).train_dataloader()
    with pytest.raises(DataError, match="multiple of 3"):
        make_data(world_size=3).train_dataloader()
