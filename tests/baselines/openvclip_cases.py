"""Reference cases of the models that fine-tune a whole CLIP."""

from tests.baselines.reference import assert_gradient_norms, clip_sizes, load_weights_module, published_gradients

weights = load_weights_module("openvclip_etc_weights")


def sizes(case):
    """The arguments of a configuration that give a CLIP the sizes of a case."""
    heads = {f"{side}_heads": case[f"{side}_width"] // 64 for side in ("vision", "text")}
    return clip_sizes({**case, **heads, "projection_dim": case["embed_dim"]})


def relative_error(actual, expected):
    return ((actual.double() - expected.double()).norm() / expected.double().norm()).item()


def check_gradients(model, case, keys=()):
    """Compare the norms of all gradients of a model that was made from `case["weights"]`."""
    norms = {key.removeprefix("grad_norm/"): n for key, n in case["expected"].items() if key.startswith("grad_norm/")}
    assert len(norms) > 50
    shapes = {f"image_encoder.{key.removeprefix('visual.')}": value for key, value in case["weights"].items()}
    shapes |= {f"text_encoder.{key}": value for key, value in case["weights"].items()} | case["weights"]
    ours = {name: published_gradients(model, dict(keys), name, shapes[name]) for name in norms}
    assert_gradient_norms(norms, ours)
    compared = {id(gradient) for of_name in ours.values() for gradient in of_name}
    assert all(parameter.grad is None or id(parameter.grad) in compared for parameter in model.parameters())
