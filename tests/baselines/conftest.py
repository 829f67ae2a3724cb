"""Reference outputs, and models small enough to train in a moment."""

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "parity" / "baselines"
spec = importlib.util.spec_from_file_location("xclip_etc_weights", FOLDER / "xclip_etc_weights.py")
weights = importlib.util.module_from_spec(spec)
spec.loader.exec_module(weights)


@pytest.fixture(scope="session")
def load_case():
    """Return a function from the name of a case to its settings, with its weights and video."""

    def load(name):
        case = weights.load_case(name)
        return {**case, "state_dict": weights.make_state_dict(case), "video": weights.make_video(case)}

    return load


def sizes(case):
    """The arguments of a configuration that give a CLIP the sizes of a case."""
    shared = {"projection_dim": case["projection_dim"], "hidden_act": "quick_gelu"}
    parts = {
        part: {
            **shared,
            "hidden_size": case[f"{part}_width"],
            "intermediate_size": 4 * case[f"{part}_width"],
            "num_hidden_layers": case[f"{part}_layers"],
            "num_attention_heads": case[f"{part}_heads"],
        }
        for part in ("vision", "text")
    }
    parts["vision"] |= {"image_size": case["image_size"], "patch_size": case["patch_size"]}
    parts["text"] |= {"vocab_size": 49408, "max_position_embeddings": case["context_length"], "eos_token_id": 49407}
    parts = {f"{part}_config": values for part, values in parts.items()}
    return {**parts, "projection_dim": case["projection_dim"], "num_frames": case["frames"]}


def relative_error(actual, expected):
    return ((actual.double() - expected.double()).norm() / expected.double().norm()).item()
