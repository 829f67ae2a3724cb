"""Token aggregation: which seeds make up which context token (phi of Eq. 6; Tables 1 and 8b).

An aggregator finds groups of seeds; the context tokens are the means of the groups. A new one is a function of the form
of `Aggregator`, registered under a name or given by its import path.
"""

from tc_clip_pl.ops.aggregation import baselines, bipartite, dpc_knn, kmeans  # noqa: F401 (they register themselves)
from tc_clip_pl.ops.aggregation.base import AGGREGATORS, Aggregator, Grouping, Seeds

__all__ = ["AGGREGATORS", "Aggregator", "Grouping", "Seeds"]
