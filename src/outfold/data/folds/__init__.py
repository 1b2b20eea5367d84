"""Which fold each sample is in: ways to deal rows out, tables of folds, groups and strata."""

from outfold.data.folds.grouping import link_groups, strata_of
from outfold.data.folds.make import make_folds
from outfold.data.folds.splits import group_kfold, kfold, stratified_group_kfold, stratified_kfold
from outfold.data.folds.table import FoldTable, read_folds, write_folds

__all__ = [
    "FoldTable",
    "group_kfold",
    "kfold",
    "link_groups",
    "make_folds",
    "read_folds",
    "strata_of",
    "stratified_group_kfold",
    "stratified_kfold",
    "write_folds",
]
