"""Reference cases of the systems that fine-tune a whole CLIP: ViFi-CLIP, Open-VCLIP, FROSTER, OST and MAXI."""

from tc_clip_pl.checkpoints.official import KEYS, convert_state_dict
from tc_clip_pl.checkpoints.open_vclip import convert_open_vclip
from tc_clip_pl.checkpoints.openai import rename_openai
from tc_clip_pl.modules.backbone.interface import BackboneConfig, BackboneModel
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.tc_clip import TCCLIP
from tests.baselines.reference import assert_gradient_norms, clip_sizes, load_weights_module

weights = load_weights_module("openvclip_etc_weights")

OPEN_VCLIP = {"reference_tokens": "window", "frame_pooling": "mean_cosine"}


def sizes(case):
    """The arguments of a configuration that give a CLIP the sizes of a case, and its frames."""
    heads = {f"{side}_heads": case[f"{side}_width"] // 64 for side in ("vision", "text")}
    return clip_sizes({**case, **heads, "projection_dim": case["embed_dim"]})


def relative_error(actual, expected):
    return ((actual.double() - expected.double()).norm() / expected.double().norm()).item()


def check_gradients(case, parameters, keys=(), kind=""):
    """Compare the norms of all gradients with those of the reference, which are exactly those that it lists.

    Args:
        case: The case.
        parameters: Ours by name.
        keys: Pattern of a published name that CLIP does not have -> our name.
        kind: Which gradients of the case.
    """
    prefix = f"grad_norm{kind}/"
    norms = {key.removeprefix(prefix): norm for key, norm in case["expected"].items() if key.startswith(prefix)}
    assert len(norms) > 40
    ours = {name: [parameters[key].grad for key in names_of(case, name, keys)] for name in norms}
    assert_gradient_norms(norms, ours)
    compared = {id(gradient) for gradients in ours.values() for gradient in gradients}
    assert all(parameter.grad is None or id(parameter.grad) in compared for parameter in parameters.values())


def names_of(case, name, keys=()):
    """Our names of a published weight."""
    if name.startswith("projector_"):
        return [name]
    shapes = weights.clip_shapes(case)
    plain = name.replace("image_encoder.", "visual.").removeprefix("text_encoder.")
    drawn = weights.make_tensor(0, name, shapes[plain])
    return list(convert_state_dict(rename_openai({name: drawn}), {**dict(keys), **KEYS}))


# Open-VCLIP and FROSTER


def published(case, seed):
    """Weights as a published checkpoint has them."""
    return {f"model.{name}": value for name, value in weights.clip_weights(case, seed).items()}


def save_clip(case, folder):
    """Write the CLIP of a case in Hugging Face's format, without a tokenizer."""
    clip = BackboneModel(BackboneConfig(**sizes(case)))
    clip.load_state_dict(convert_open_vclip(published(case, case["clip_seed"])))
    clip.save_pretrained(folder)
    return folder


def build(case, **options):
    """The model of a case with the student's weights."""
    model = TCCLIP(TCCLIPConfig(**sizes(case), **OPEN_VCLIP, **options))
    model.load_state_dict(convert_open_vclip(published(case, case["seed"])))
    return model
