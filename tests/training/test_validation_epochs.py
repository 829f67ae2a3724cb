"""Which epochs of a run are validated."""

from types import SimpleNamespace

import pytest

from tc_clip_pl.training.validation_epochs import ValidationEpochs


def due(every, max_epochs, num_epochs):
    """Return the epochs after which a Trainer would validate."""
    trainer, found = SimpleNamespace(max_epochs=max_epochs, check_val_every_n_epoch=1), []
    for trainer.current_epoch in range(num_epochs):
        ValidationEpochs(every).on_train_epoch_start(trainer, None)
        if (trainer.current_epoch + 1) % trainer.check_val_every_n_epoch == 0:
            found.append(trainer.current_epoch)
    return found


@pytest.mark.parametrize(
    ("every", "max_epochs", "epochs"),
    [(3, 8, [0, 3, 6, 7]), (3, 7, [0, 3, 6]), (1, 4, [0, 1, 2, 3]), (10, 1, [0]), (5, -1, [0, 5])],
)
def test_first_every_nth_and_last(every, max_epochs, epochs):
    assert due(every, max_epochs, max_epochs if max_epochs > 0 else 9) == epochs


def test_default_is_that_of_the_few_shot_protocol():
    assert ValidationEpochs().every == 10


def test_raises_below_one():
    with pytest.raises(ValueError, match="every is 0; ValidationEpochs needs at least 1"):
        ValidationEpochs(0)
