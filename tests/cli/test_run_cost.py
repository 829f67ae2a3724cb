"""What a run's results say of its cost is counted once for each configuration."""

from types import SimpleNamespace

from tc_clip_pl import TCCLIP
from tc_clip_pl.cli import run_cost
from tc_clip_pl.profiling import count_cost, count_total


def test_a_configuration_is_counted_once_and_another_anew(tiny_clip_folder, monkeypatch):
    counted = []
    monkeypatch.setattr(run_cost, "count_total", lambda *given: counted.append(given) or count_total(*given))
    run_cost._count_once.cache_clear()
    trainer = SimpleNamespace(callbacks=[])
    found = []
    for count in (6, 6, 5):
        options = {"num_frames": 4, "num_context_tokens": count, "merges_per_round": 4}
        model = TCCLIP.from_pretrained(tiny_clip_folder, **options)
        model.config.clip_name_or_path = f"a copy, {len(found)}"
        found.append(run_cost.run_cost(model, trainer)["multiply_adds"])
        assert found[-1] == count_cost(model.config).total
    assert len(counted) == 2 and found[0] == found[1] > found[2]
