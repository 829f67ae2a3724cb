"""The groups of each aggregator, against slow versions in plain Python, and what all have in common."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tc_clip_pl
from tc_clip_pl.ops.aggregation import AGGREGATORS, Seeds
from tc_clip_pl.ops.aggregation.bipartite import match_tokens
from tc_clip_pl.ops.aggregation.kmeans import fill_empty_groups
from tc_clip_pl.ops.tokens import source_masks
from tests.ops.conftest import frame_attention

K, ROUND = 4, 3
MERGING = sorted(set(AGGREGATORS) - {"none"})


@pytest.fixture
def seeds(attention):
    """Five seeds of each of three frames, six numbers each."""
    indices = torch.stack([torch.randperm(11, generator=torch.Generator().manual_seed(i))[:5] for i in range(6)])
    tokens = torch.randn(2, 15, 6, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return Seeds(tokens.requires_grad_(), indices.view(2, 3, 5), attention)


def aggregate(name, seeds):
    torch.manual_seed(0)
    with torch.no_grad():
        return AGGREGATORS[name](seeds, K, ROUND)


@pytest.mark.parametrize("name", AGGREGATORS)
def test_every_seed_has_a_group_and_every_group_a_seed(seeds, name):
    grouping = aggregate(name, seeds)
    assert grouping.count == (15 if name == "none" else K)
    assert [sorted(set(row)) for row in grouping.groups.tolist()] == [list(range(grouping.count))] * 2
    sources = source_masks(grouping.groups, seeds.indices, grouping.count, 11)
    assert sources.sum((1, 2)).tolist() == [15, 15] and sources.sum(1).max() == 1


@pytest.mark.parametrize("name", AGGREGATORS)
def test_context_tokens_are_weighted_means_with_their_gradients(seeds, name):
    grouping = aggregate(name, seeds)
    context = grouping.average(seeds.tokens)
    weights = torch.ones(2, 15, dtype=torch.float64) if grouping.weights is None else grouping.weights
    expected = torch.zeros_like(context)
    for b in range(2):
        for k in range(grouping.count):
            members = [s for s in range(15) if grouping.groups[b, s] == k]
            total = sum(weights[b, s] for s in members)
            expected[b, k] = sum(weights[b, s] * seeds.tokens[b, s] for s in members) / total
    torch.testing.assert_close(context, expected, rtol=0, atol=1e-12)
    upstream = torch.randn_like(context)
    gradients = [
        torch.autograd.grad((c * upstream).sum(), seeds.tokens, retain_graph=True)[0] for c in (context, expected)
    ]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MERGING)
def test_videos_are_independent(seeds, name):
    if name == "random":
        assert not torch.equal(*AGGREGATORS[name](seeds, K, ROUND).groups)  # drawn per video
        return
    attention = seeds.attention
    second = frame_attention(attention.query[1:], attention.key[1:], attention.value[1:], attention.bias)
    alone = AGGREGATORS[name](Seeds(seeds.tokens[1:], seeds.indices[1:], second), K, ROUND)
    assert torch.equal(alone.groups[0], aggregate(name, seeds).groups[1])


@pytest.mark.parametrize("name", ["kmeans", "dpc_knn"])
def test_clear_clusters_are_found(seeds, name):
    """Four points far apart, eight seeds close to each."""
    truth = torch.arange(32) // 8
    noise = torch.randn(2, 32, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tokens = 10 * torch.eye(4, 6, dtype=torch.float64)[truth] + 0.01 * noise
    groups = aggregate(name, Seeds(tokens, seeds.indices, seeds.attention)).groups
    same = groups[:, :, None] == groups[:, None, :]
    assert torch.equal(same, (truth[:, None] == truth).expand_as(same))


def slow_dpc(points):
    """Density peaks as in its paper, one video at a time."""
    n = len(points)
    d = [[(points[i] - points[j]).norm().item() / len(points[0]) ** 0.5 for j in range(n)] for i in range(n)]
    density = [torch.tensor([-sum(x * x for x in sorted(row)[:5]) / 5], dtype=torch.float64).exp().item() for row in d]
    separation = [min([d[i][j] for j in range(n) if density[j] > density[i]], default=max(d[i])) for i in range(n)]
    centers = sorted(range(n), key=lambda i: -density[i] * separation[i])[:K]
    return [centers.index(i) if i in centers else min(range(K), key=lambda k: d[i][centers[k]]) for i in range(n)]


@pytest.mark.parametrize("width", [6, 3])
def test_dpc_knn_matches_reference(seeds, width):
    tokens = seeds.tokens.detach()[..., :width]
    groups = aggregate("dpc_knn", Seeds(tokens, seeds.indices, seeds.attention)).groups
    assert groups.tolist() == [slow_dpc(video) for video in tokens]


def slow_kmeans(points):
    """Lloyd's algorithm; with these seeds no group becomes empty."""
    centers = [points[k * len(points) // K] for k in range(K)]
    for _ in range(10):
        groups = [min(range(K), key=lambda k: (point - centers[k]).norm().item()) for point in points]
        centers = [torch.stack([p for p, g in zip(points, groups, strict=True) if g == k]).mean(0) for k in range(K)]
    return groups


def test_kmeans_matches_reference(seeds):
    assert aggregate("kmeans", seeds).groups.tolist() == [slow_kmeans(video) for video in seeds.tokens.detach()]


def test_kmeans_runs_ten_rounds(seeds):
    """Scattered seeds that would still move in the next round."""
    tokens = torch.randn(1, 60, 2, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    groups = aggregate("kmeans", Seeds(tokens, seeds.indices, seeds.attention)).groups
    assert groups.tolist() == [slow_kmeans(tokens[0])]


def test_empty_groups_get_the_seed_farthest_from_its_center():
    groups = torch.tensor([[0, 0, 0, 1], [0, 1, 2, 2]])
    distances = torch.tensor([[1.0, 5, 2, 0]] * 2)[..., None].expand(-1, -1, 3)
    assert fill_empty_groups(groups, distances).tolist() == [[0, 2, 0, 1], [0, 1, 2, 2]]


def test_kmeans_keeps_k_groups_of_equal_seeds(seeds):
    grouping = aggregate("kmeans", Seeds(torch.zeros(2, 15, 6), seeds.indices, seeds.attention))
    assert [len(set(row)) for row in grouping.groups.tolist()] == [K, K]


@pytest.mark.parametrize("name", ["bipartite_attention", "bipartite_saliency"])
def test_weights_are_the_layers_attention_scores(seeds, name):
    scores = {
        "bipartite_attention": seeds.attention.cls_attention().mean(2),
        "bipartite_saliency": seeds.attention.saliency(),
    }
    grouping = aggregate(name, seeds)
    for b in range(2):
        for s in range(15):
            expected = scores[name][b, s // 5, seeds.indices[b, s // 5, s % 5]].clamp_min(1e-6)
            assert grouping.weights[b, s] == expected
    weighted = seeds.tokens.detach() * grouping.weights[..., None]
    assert torch.equal(grouping.groups, match_tokens(weighted, K, ROUND))


def test_random_groups_have_equal_sizes(seeds):
    sizes = torch.stack([torch.bincount(row, minlength=K) for row in aggregate("random", seeds).groups])
    assert sizes.max() - sizes.min() == 1


def test_autocast_does_not_change_the_seeds(seeds):
    half = Seeds(seeds.tokens.float().bfloat16(), seeds.indices, seeds.attention)
    assert half.detached.dtype == torch.float32 and not half.detached.requires_grad


def test_empty_group_takes_the_farthest_seed_that_is_not_alone():
    distances = torch.tensor([[[0.1, 9, 9], [0.2, 9, 9], [9, 5, 9]]])
    filled = fill_empty_groups(torch.tensor([[0, 0, 1]]), distances)
    assert filled.tolist() == [[0, 2, 1]]  # seed 2 is farther from its center, but alone in its group


def test_all_empty_groups_are_filled():
    distances = torch.arange(12.0).view(1, 4, 3)
    assert fill_empty_groups(torch.zeros(1, 4, dtype=torch.int64), distances).tolist() == [[0, 0, 2, 1]]


@pytest.mark.parametrize("num_seeds", [3, 8])
def test_random_groups_are_drawn_anew_for_every_video(num_seeds, seeds):
    tokens = torch.randn(4, num_seeds, 6, dtype=torch.float64)
    groups = aggregate("random", Seeds(tokens, seeds.indices, seeds.attention)).groups
    assert [sorted(row) for row in groups.tolist()] == [sorted(s % K for s in range(num_seeds))] * 4
    assert len({tuple(row) for row in groups.tolist()}) > 1


def test_a_new_file_is_all_that_an_aggregator_takes(tmp_path):
    package = tmp_path / "tc_clip_pl"
    shutil.copytree(Path(tc_clip_pl.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "ops" / "aggregation" / "zeros.py").write_text(
        "from tc_clip_pl.ops.aggregation.base import AGGREGATORS\n"
        'AGGREGATORS.register("zeros")(lambda seeds, num_context_tokens, merges_per_round: None)\n'
    )
    code = "from tc_clip_pl.modules.config import TCCLIPConfig; print(TCCLIPConfig(aggregation='zeros').aggregation)"
    command = [sys.executable, "-c", code]  # its own process: it imports the copy, which stands in its directory
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout == "zeros\n"


def test_random_groups_of_a_single_video_vary(seeds):
    one = Seeds(seeds.tokens[:1], seeds.indices[:1], seeds.attention)
    assert len({str(AGGREGATORS["random"](one, K, ROUND).groups.tolist()) for _ in range(10)}) > 1
