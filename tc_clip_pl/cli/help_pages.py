"""The help pages, written by hand so that they appear at once and fit on a screen."""

from tc_clip_pl.cli import (
    check,
    configs,
    convert,
    ensemble,
    export,
    index,
    pretrain,
    profile,
    recognize,
    report,
    search,
    split,
    transcode,
    visualize,
)
from tc_clip_pl.cli.benchmark import command as benchmark
from tc_clip_pl.cli.page import command as page
from tc_clip_pl.cli.sweep import command as sweep
from tc_clip_pl.cli.tour import command as tour

TOP_LEVEL_HELP = """\
tcclip: video action recognition with TC-CLIP

  tcclip fit --config NAME
      train, then test the last weights without and with weight ensembling
  tcclip test --ckpt_path CKPT [--config NAME]
      test a checkpoint, by default on the data of its run
  tcclip validate --ckpt_path CKPT [--config NAME]
      validate a checkpoint
  tcclip predict --ckpt_path CKPT [--config NAME]
      write the top classes of every clip to a file
  tcclip recognize VIDEO_OR_FOLDER ... --labels "brush hair, ride bike"
      say which of some words describes each video, or each part of a long one
  tcclip visualize VIDEO --labels "brush hair, ride bike" --out DIR
      draw seeds, context tokens and attention over the frames of a video
  tcclip index FOLDER ... INDEX
      embed videos, for search
  tcclip search INDEX "someone falls off a bike"
      find moments in indexed videos, by words or by example
  tcclip demo [--model SOURCE]
      the same on a local web page
  tcclip check --data NAME --data.root DIR
      validate a dataset against its split files before a long run
  tcclip transcode SOURCE DEST [--shards]
      copy a dataset with videos that are small and quick to read
  tcclip split --data NAME --data.root DIR --output_dir DIR
      draw few-shot and base/novel splits
  tcclip convert CKPT OUT
      turn a published checkpoint, or one of fit, into a folder that loads alone
  tcclip ensemble CKPT
      test many ensemble weights in one pass, and draw accuracy by weight
  tcclip export OUT --model SOURCE --labels LABELS
      write a model as programs that run without this package
  tcclip pretrain OUT
      train a small CLIP on captioned pictures of the generated world
  tcclip profile --config NAME
      count parameters and multiply-adds
  tcclip benchmark model|train|latency|data|attention|matching
      time the model, its kernels or its data, beside a frame-wise CLIP
  tcclip sweep --config NAME --sweep KEY=[VALUE,...]
      several runs, joined in one table
  tcclip report [DIR ...] [--paper TABLE]
      join results in one table, next to the paper's numbers
  tcclip configs
      list the shipped configurations
  tcclip tour [DIR]
      train TC-CLIP beside a frame-wise baseline on generated videos, and report

`tcclip SUBCOMMAND --help` says more. --debug, anywhere, shows the traceback of
an error."""

RUN_HELP = """\
tcclip {name} --config NAME [--KEY VALUE ...]:
{what}

NAME is a file or a shipped configuration (`tcclip configs`); several are merged
in order. Every key can be overridden:

  data
    --data.root DIR                  the videos, in any published layout; or a
                                     folder or URL of shards
    --data.splits_dir DIR            published split files; without it, the
                                     dataset's own annotations
    --data.num_shots N               training clips per class; null for all
    --data.split N                   number of the split, if there are several
    --data.num_frames N              frames per view
    --data.batch_size N              videos per batch and device
    --data.global_batch_size N       videos per optimizer step; sets the
                                     gradient accumulation
    --data.num_workers N             decoding processes
    --data.num_temporal_views N      temporal views of a test video
    --data.num_spatial_views 1|3     crops per temporal view
    --data.decoder auto|pyav|decord|torchcodec
                                     video decoder
    --data.exact_decoding true       resize frames by torchvision, not in the
                                     decoder
    --data.cache DIR                 keep decoded frames in a folder, for all
                                     epochs and runs; --data.cache_gb N is its
                                     greatest size (100)
    --data.on_bad_video raise|skip   what to do with an unreadable clip
    --check_clips false              fit does not first read the header of every
                                     clip: minutes for Kinetics, but only once;
                                     clips that `tcclip check` found good are
                                     not read again
  model
    --model.pretrained X             folder or hub name of a CLIP or a saved
                                     TC-CLIP; or world, the shipped CLIP of the
                                     generated world
    --model.init_from CKPT           start from the weights of an earlier run
                                     (Appendix A)
    --model.freeze [vision,text]     encoders whose own weights are not trained
    --model.config.seed_ratio R      share of the patches that become seeds;
                                     likewise num_context_tokens,
                                     merges_per_round, reference_tokens,
                                     seed_selection, aggregation, tc_layers,
                                     prompting, num_prompt_vectors and more
                                     (--help-all)
    --model.optimizer.lr R           peak learning rate; --model.optimizer CLASS
                                     takes another optimizer
    --model.lr_scheduler.final_lr R  learning rate at the end; likewise
                                     warmup_epochs
    --model.lr_scheduler CLASS       ReleasedSchedule, as in the published runs,
                                     or TextbookSchedule
    --model.prompting_lr_factor F    learning rate of the prompting, relative to
                                     the rest; likewise label_smoothing
  run
    --trainer.max_epochs N           epochs
    --trainer.devices N              GPUs; with several, --trainer.strategy ddp
    --trainer.accelerator cpu|gpu    auto takes a GPU if there is one
    --trainer.precision P            default: bf16-mixed on a GPU, 32-true on a
                                     CPU
    --model.kernels K                plain, triton, compiled or auto: compiled
                                     on a GPU, for which the first step takes a
                                     minute; plain on a CPU, where compiling
                                     takes minutes
    --model.checkpoint_activations true
                                     less memory in training, more time
    --trainer.callbacks+=CLASS       add a callback to the default ones
    --ensembling.weights [1.0,0.7]   shares w of the fine-tuned weights, the
                                     rest CLIP's: all are tested in one pass
                                     over the data; 1 is the fine-tuned model;
                                     predict uses the first
    --ensembling.sequential true     one pass for each w, where the device is
                                     short of memory
    --seed_everything N              seed of the new parameters; the data has
                                     --data.seed
    --plugins PACKAGE                import a package first, such as one that
                                     registers a seed selection
    --protocol TABLE                 table of the paper that lays out the
                                     results, such as few_shot
    --method NAME                    name of the model in reports
    --output_dir DIR                 every run makes a new folder in it
    --ckpt_path CKPT                 {checkpoint}

{more}{weights}

All keys and their values, the defaults included:
  tcclip {name} --config NAME --print_config
The complete list, with Lightning's own options:
  tcclip {name} --help-all
Options of a class:
  tcclip {name} --data.help datamodules.HMDB51DataModule"""

OWN_VIDEOS = """\
Your own videos, in one folder per class (my_videos/CLASS/CLIP.mp4):
  tcclip check --data FolderDataModule --data.root my_videos
  tcclip fit --data FolderDataModule --data.root my_videos --data.num_workers 4
  tcclip test --data FolderDataModule --data.root my_videos \\
      --ckpt_path outputs/.../last.ckpt

"""
PREDICT_OPTIONS = """\
Videos without labels, in one folder:
  tcclip predict --ckpt_path CKPT --data.root DIR --classes "a, b, c"

  --classes "a, b, c"              names of the classes to choose from
  --top N|all                      classes to write per clip (3)

"""

RUNS = {
    "fit": ("train, then test the last weights without and with weight ensembling", "resume from this checkpoint"),
    "validate": ("validate a checkpoint", "the checkpoint to validate"),
    "test": ("test a checkpoint without and with weight ensembling", "the checkpoint to test"),
    "predict": ("write the top classes of every clip to predictions.csv", "the checkpoint to predict with"),
}

RESUMED = """\
The model comes from the resumed checkpoint; a setting that contradicts it, or
other class names, are an error."""
SCORED = """\
The model comes from the checkpoint; a setting that contradicts it is an error.
Without --config, so does the rest of the configuration of its run, which
options override. Without --ckpt_path, only plain CLIP (--config
models/clip.yaml) and saved TC-CLIPs are scored: in any other model, nothing has
trained the new parameters."""

OTHER_HELP = {
    "recognize": recognize.HELP,
    "visualize": visualize.HELP,
    "index": index.HELP,
    "search": search.HELP,
    "demo": page.HELP,
    "check": check.HELP,
    "transcode": transcode.HELP,
    "split": split.HELP,
    "ensemble": ensemble.HELP,
    "convert": convert.HELP,
    "export": export.HELP,
    "pretrain": pretrain.HELP,
    "profile": profile.HELP,
    "benchmark": benchmark.HELP,
    "sweep": sweep.HELP,
    "report": report.HELP,
    "configs": configs.HELP,
    "tour": tour.HELP,
}


def subcommand_help(name: str) -> str:
    """Return the help page of a subcommand."""
    if name in OTHER_HELP:
        return OTHER_HELP[name]
    what, checkpoint = RUNS[name]
    weights = RESUMED if name == "fit" else SCORED
    more = PREDICT_OPTIONS if name == "predict" else OWN_VIDEOS
    return RUN_HELP.format(name=name, what=what, checkpoint=checkpoint, weights=weights, more=more)
