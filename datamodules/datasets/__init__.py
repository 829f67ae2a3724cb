'''One module per dataset: the paths of its published lists, and a reader of its own annotations.

To add a dataset, write one file here, such as `datasets/my_dataset.py`::

    from datamodules.base import VideoDataModule
    from datamodules.splits.lookup import RootIndex
    from datamodules.splits.published import PublishedFiles
    from datamodules.splits.split import Annotations

    class MyDataModule(VideoDataModule):
        """My dataset: `<class>/<clip>.mp4`; the names of test clips begin with `test_`."""

        name = "my_dataset"
        published = PublishedFiles(
            labels="labels/my_labels.csv", train="my/train.txt", few_shot=None, test="my/test.txt"
        )

        def read_annotations(self, index: RootIndex, split: int) -> Annotations:
            clips = {"train": [], "test": []}
            for file in index.matching("*.mp4"):
                part = "test" if "/test_" in file else "train"
                clips[part].append((file, file.split("/")[0]))
            return Annotations(clips, (index.root,))

and add one line to `DATASETS` below::

    "MyDataModule": "my_dataset",

The commands then know it by name: `tcclip check --data MyDataModule --data.root DIR`.
'''

# Data module -> the file here that defines it. `datamodules` exports them all, each loaded on first use.
DATASETS = {
    "CSVDataModule": "csv_list",
    "FolderDataModule": "folder",
    "HMDB51DataModule": "hmdb51",
    "Kinetics400DataModule": "kinetics",
    "Kinetics600DataModule": "kinetics",
    "SSv2DataModule": "ssv2",
    "UCF101DataModule": "ucf101",
}
