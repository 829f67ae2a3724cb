"""The confusion matrix of a validation as a picture in TensorBoard."""

from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tc_clip_pl.training.confusion_matrix import ConfusionMatrixPicture


def test_confusion_matrix_goes_to_tensorboard(make_module, make_data, make_trainer, tmp_path):
    logger = TensorBoardLogger(tmp_path, name="tb")
    make_trainer(ConfusionMatrixPicture(), logger=logger, num_sanity_val_steps=2).fit(
        make_module(), datamodule=make_data()
    )
    logger.finalize("success")
    events = EventAccumulator(logger.log_dir)
    events.Reload()
    assert [event.step for event in events.Images("val/confusion_matrix")] == [3]
