"""Files of the compared systems as their authors publish them, with weights of the reference cases."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from tc_clip_pl.baselines.actionclip.templates import TEMPLATES
from tc_clip_pl.checkpoints.openai import rename_openai
from tests.baselines.reference import clip_sizes, load_weights_module
from tests.baselines.whole_clip_cases import sizes

first_cases, further_cases = load_weights_module("xclip_etc_weights"), load_weights_module("openvclip_etc_weights")


@dataclass
class Published:
    """A file, and what the model in it must score.

    Attributes:
        case: Settings and expected tensors.
        content: What the file holds.
        options: What `tcclip convert` must be told.
        class_ids: For `set_class_tokens`.
        expected: (B, Y) logits, or probabilities.
        clip: Configuration of the CLIP that was fine-tuned.
        token_embedding: Of that CLIP, where the file leaves it out.
    """

    case: dict[str, Any]
    content: dict[str, Any]
    options: dict[str, Any]
    class_ids: Tensor
    expected: Tensor
    clip: dict[str, Any]
    token_embedding: Tensor | None = None
    video: Tensor = field(init=False)

    def __post_init__(self) -> None:
        module = further_cases if "embed_dim" in self.case else first_cases
        self.video = module.make_video(self.case)
        self.options = {"num_frames": self.case["frames"], **self.options}
        self.clip.pop("num_frames")


def _of_first(case, content, options, scores, class_ids=None):
    ids, expected = case["expected"]["input_ids"].long(), case["expected"][scores]
    return Published(case, content, options, ids if class_ids is None else class_ids, expected, clip_sizes(case))


def _without_placeholders(ids, count):
    """Token ids of class texts without those that hold the places of `count` vectors behind SOS."""
    return torch.cat((ids[:, :1], ids[:, 1 + count :]), dim=1).long()


def xclip():
    case = first_cases.load_case("xclip")
    return _of_first(case, {"model": first_cases.make_state_dict(case)}, {}, "logits")


def a5():
    case = first_cases.load_case("a5")
    options = {"num_prefix_vectors": 16, "num_postfix_vectors": 16, "num_temporal_layers": case["temporal_layers"]}
    return _of_first(case, {"state_dict": first_cases.make_state_dict(case)}, options, "logits/temporal")


def actionclip():
    case = first_cases.load_case("actionclip")
    drawn, prefixes = first_cases.make_state_dict(case), ("model_state_dict/", "fusion_model_state_dict/Transf/")
    content = {
        prefix.split("/")[0]: {name.removeprefix(prefix): v for name, v in drawn.items() if name.startswith(prefix)}
        for prefix in prefixes
    }
    ids = case["expected"]["input_ids"].long().unflatten(0, (len(TEMPLATES), -1))
    return _of_first(case, content, {"head": "Transf"}, "probabilities/Transf", ids)


def vitaclip():
    case = first_cases.load_case("vitaclip")
    drawn = {f"module.{name}": value for name, value in first_cases.make_state_dict(case).items() if "/" not in name}
    drawn |= {f"module.prompt_learner.token_{part}": torch.zeros(1) for part in ("prefix", "suffix")}
    options = {"trained_classes": case["class_names"], "num_global_prompts": case["num_global_prompts"]}
    ids = _without_placeholders(case["expected"]["input_ids"], case["num_text_prompts"])
    return _of_first(case, {"state_dict": drawn, "epoch": 3}, options, "logits/full", ids)


def _of_further(case, content, class_ids, scores="logits", **others):
    options = others.pop("options", {})
    return Published(case, content, options, class_ids.long(), case["expected"][scores], sizes(case), **others)


def _fine_tuned(case):
    """Weights by the names of ViFi-CLIP's family, and the token embeddings, which are not among them."""
    weights = rename_openai(further_cases.clip_weights(case, case["seed"]))
    table = weights.pop("token_embedding.weight")
    weights |= {f"prompt_learner.token_{part}": torch.zeros(1) for part in ("prefix", "suffix")}
    return weights, table


def _wrap(weights):
    return {"model": {f"module.{name}": value for name, value in weights.items()}, "epoch": 3}


def vificlip():
    case = further_cases.load_case("vificlip")
    weights, table = _fine_tuned(case)
    return _of_further(case, _wrap(weights), case["expected"]["input_ids"], token_embedding=table)


def maxi():
    case = further_cases.load_case("maxi")  # every text of every bag is scored as a class
    weights, table = _fine_tuned(case)
    return _of_further(case, _wrap(weights), case["expected"]["input_ids"], token_embedding=table)


def vifi_prompt():
    case = further_cases.load_case("vificlip")
    (weights, table), count = _fine_tuned(case), case["prompts"]
    depths = {side: case[f"prompt_depth_{side}"] for side in ("vision", "text")}
    names = {f"visual.transformer.resblocks.{n}.VPT_shallow": "vision" for n in range(1, depths["vision"])}
    names |= {f"transformer.resblocks.{n}.VPT_shallow": "text" for n in range(1, depths["text"])}
    names |= {"visual.VPT": "vision", "prompt_learner.ctx": "text"}
    weights |= rename_openai(
        {n: further_cases.make_tensor(case["seed"], n, (count, case[f"{side}_width"])) for n, side in names.items()}
    )
    options = {"num_prompts": count, **{f"{side}_depth": depth for side, depth in depths.items()}}
    ids = _without_placeholders(case["expected"]["prompted_input_ids"], count)
    return _of_further(case, _wrap(weights), ids, "prompted_logits", options=options, token_embedding=table)


def ost():
    case = further_cases.load_case("ost")
    weights, table = _fine_tuned(case)
    weights["text_encoder.token_embedding.weight"] = table  # trained here
    kinds = [case["expected"][f"{kind}_ids"] for kind in ("spatial", "temporal")]
    longest = max(ids.shape[-1] for ids in kinds)
    ids = torch.cat([pad(of_kind, (0, longest - of_kind.shape[-1])) for of_kind in kinds], dim=1)  # (Y, 2 N, L)
    return _of_further(case, _wrap(weights), ids.transpose(0, 1))


def _behind_model(weights):
    return {f"model.{name}": value for name, value in weights.items()}


def openvclip():
    case = further_cases.load_case("openvclip")
    content = {"model_state": _behind_model(further_cases.clip_weights(case, case["seed"])), "epoch": 21}
    return _of_further(case, content, case["expected"]["input_ids"])


def froster():
    case = further_cases.load_case("froster")
    weights = _behind_model(further_cases.clip_weights(case, case["seed"]))
    teacher = further_cases.clip_weights(case, case["clip_seed"])
    weights |= {f"raw_model.{name}": value for name, value in teacher.items()}
    weights |= {f"projector_{side}.{layer}.weight": torch.zeros(64, 64) for side in "vt" for layer in (0, 2)}
    return _of_further(case, {"model_state": weights, "epoch": 21}, case["expected"]["input_ids"])


NAMED = {make.__name__: make for make in (xclip, a5, actionclip, vitaclip, vifi_prompt, ost)}
"""Those that `tcclip convert --system` names."""
RECOGNIZED = {make.__name__: make for make in (vificlip, maxi, openvclip, froster)}
"""Those that `tcclip convert` tells from the names of their weights."""
