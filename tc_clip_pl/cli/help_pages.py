"""The help pages, written by hand so that they appear at once and fit on a screen."""

from tc_clip_pl.cli import check, configs, demo, profile, report, split
from tc_clip_pl.cli.sweep import command as sweep

TOP_LEVEL_HELP = """\
tcclip: video action recognition with TC-CLIP

  tcclip fit --config NAME       train, then test the last weights without and with weight ensembling
  tcclip test --config NAME --ckpt_path CKPT        test a checkpoint
  tcclip validate --config NAME --ckpt_path CKPT    validate a checkpoint
  tcclip predict --config NAME --ckpt_path CKPT     write the best classes of every clip to a file
  tcclip check --data NAME --data.root DIR          hold a dataset against its lists before a long run
  tcclip split --data NAME --data.root DIR --output_dir DIR    draw few-shot and base/novel lists
  tcclip profile --config NAME   parameters, multiply-adds and speed of a configuration
  tcclip sweep --config NAME --sweep KEY=[VALUE,...]           several runs, joined in one table
  tcclip report DIR ... [--paper TABLE]             join results in one table, the paper's figures beside
  tcclip configs                 list the configurations that come with the package
  tcclip make-demo DIR           write a small dataset of videos and a tiny CLIP to try everything on

`tcclip SUBCOMMAND --help` says more. --debug, anywhere, shows the traceback of an error."""

RUN_HELP = """\
tcclip {name} --config NAME [--KEY VALUE ...]: {what}

NAME is a file, or one of the shipped configurations (`tcclip configs`). Every key of it can be changed here:

  data
    --data.root DIR                  the videos, in any published layout
    --data.splits_dir DIR            published split lists; without it, the dataset's own annotations
    --data.num_shots N               training clips for each class; null for all of them
    --data.split N                   number of the split, where there are several
    --data.num_frames N              frames of a view
    --data.batch_size N              videos in a batch of one device
    --data.global_batch_size N       videos in an optimizer step; the accumulation follows from it
    --data.num_workers N             processes that decode
    --data.num_temporal_views N      views in time of a test video
    --data.num_spatial_views 1|3     crops of each of them
    --data.decoder auto|pyav|decord  what reads the files
    --data.on_bad_video raise|skip   what an unreadable training clip does
  model
    --model.pretrained X             folder, or hub name, of a CLIP or a saved TC-CLIP
    --model.init_from CKPT           start from the weights of an earlier run (Appendix A)
    --model.freeze [vision,text]     encoders whose own weights stay as they are
    --model.config.seed_ratio R      share of the patches that become seeds; likewise num_context_tokens,
                                     merges_per_round, reference_tokens, seed_selection, aggregation, tc_layers,
                                     prompting, num_prompt_vectors and more (--help-all)
    --model.learning_rate R          peak rate; likewise final_learning_rate, warmup_epochs, weight_decay,
                                     prompting_lr_factor, label_smoothing
  run
    --trainer.max_epochs N           epochs
    --trainer.devices N              GPUs; with several, --trainer.strategy ddp
    --trainer.accelerator cpu|gpu    auto takes the GPU if there is one
    --trainer.precision P            by default bf16-mixed on a GPU and 32-true on a CPU
    --ensembling.weight W            share of the fine-tuned weights when testing; 1 tests them alone
    --seed_everything N              of the new parameters; the data has --data.seed
    --protocol TABLE                 the paper's table that the results are laid out as, such as few_shot
    --method NAME                    what the model is called in reports
    --output_dir DIR                 every run makes a new folder below it
    --ckpt_path CKPT                 {checkpoint}

The complete list, with Lightning's own options: tcclip {name} --help-all
Options of a data module: tcclip {name} --data.help datamodules.HMDB51DataModule"""

RUNS = {
    "fit": ("train, then test the last weights without and with weight ensembling.", "go on from this checkpoint"),
    "validate": ("validate a checkpoint.", "the checkpoint to validate"),
    "test": ("test a checkpoint without and with weight ensembling.", "the checkpoint to test"),
    "predict": ("write the best classes of every clip to predictions.csv.", "the checkpoint to predict with"),
}

OTHER_HELP = {
    "check": check.HELP,
    "split": split.HELP,
    "profile": profile.HELP,
    "sweep": sweep.HELP,
    "report": report.HELP,
    "configs": configs.HELP,
    "make-demo": demo.HELP,
}


def subcommand_help(name: str) -> str:
    """The help page of a subcommand."""
    if name in OTHER_HELP:
        return OTHER_HELP[name]
    what, checkpoint = RUNS[name]
    return RUN_HELP.format(name=name, what=what, checkpoint=checkpoint)
