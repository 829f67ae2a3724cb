"""Token aggregation: which seeds make up which context token (phi of Eq. 6; Tables 1 and 8b).

An aggregator finds groups of seeds; the context tokens are the means of the groups. To add one, a new file here is all:
a function of the form of `Aggregator` (`base.py`), registered in `AGGREGATORS`. A function of another package is
selected by its import path.
"""

from importlib import import_module
from pkgutil import iter_modules

from tc_clip_pl.ops.aggregation.base import AGGREGATORS, Aggregator, Grouping, Seeds

# Every file registers its aggregators on import. In the order of names, so that help texts list them in one order.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["AGGREGATORS", "Aggregator", "Grouping", "Seeds"]
