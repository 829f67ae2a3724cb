"""Reference cases of the models that fine-tune a whole CLIP: settings, weights, video, expected outputs."""

import importlib.util
from pathlib import Path

from tc_clip_pl.checkpoints.official import convert_state_dict
from tc_clip_pl.checkpoints.openai import rename_openai

path = Path(__file__).parents[1] / "parity" / "baselines" / "openvclip_etc_weights.py"
spec = importlib.util.spec_from_file_location("openvclip_etc_weights", path)
weights = importlib.util.module_from_spec(spec)
spec.loader.exec_module(weights)


def sizes(case):
    """The arguments of a configuration that give a CLIP the sizes of a case."""
    parts = {
        part: {
            "projection_dim": case["embed_dim"],
            "hidden_act": "quick_gelu",
            "hidden_size": case[f"{part}_width"],
            "intermediate_size": 4 * case[f"{part}_width"],
            "num_hidden_layers": case[f"{part}_layers"],
            "num_attention_heads": case[f"{part}_width"] // 64,
        }
        for part in ("vision", "text")
    }
    parts["vision"] |= {"image_size": case["image_size"], "patch_size": case["patch_size"]}
    parts["text"] |= {"vocab_size": 49408, "max_position_embeddings": 77, "eos_token_id": 49407}
    parts = {f"{part}_config": values for part, values in parts.items()}
    return {**parts, "projection_dim": case["embed_dim"], "num_frames": case["frames"]}


def relative_error(actual, expected):
    return ((actual.double() - expected.double()).norm() / expected.double().norm()).item()


def check_gradient_norms(model, state_dict, expected):
    """Compare the norms under OpenAI's names, which the reference gives as `image_encoder.` and `text_encoder.`."""
    norms = {key.removeprefix("grad_norm/"): norm for key, norm in expected.items() if key.startswith("grad_norm/")}
    largest, parameters = max(norms.values()), dict(model.named_parameters())
    assert len(norms) > 50
    renamed = rename_openai(state_dict)
    seen = set()
    for name, norm in norms.items():
        source = name.replace("text_encoder.token_embedding", "token_embedding")
        ours = convert_state_dict({source: renamed[source]})
        gradients = [parameters[key].grad.double().norm() for key in ours]
        actual = sum(gradient.square() for gradient in gradients).sqrt()
        assert abs(actual - norm) <= 1e-3 * max(norm, 1e-3 * largest), name
        seen |= ours.keys()
    rest = {name for name, parameter in parameters.items() if parameter.grad is not None} - seen
    assert not rest
