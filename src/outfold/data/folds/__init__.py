"""Which fold each sample is in: ways to deal rows out, tables of folds, groups and strata."""

from outfold.data.folds.cut import VirtualGroups, cut_groups
from outfold.data.folds.grouping import link_groups, strata_of
from outfold.data.folds.make import make_folds
from outfold.data.folds.objective import Imbalance, imbalance
from outfold.data.folds.search import FoldSearch, search
from outfold.data.folds.splits import group_kfold, kfold, leave_one_group_out, stratified_group_kfold, stratified_kfold
from outfold.data.folds.table import FoldTable, read_folds, whole_table, write_folds
from outfold.data.folds.time import time_blocks

__all__ = [
    "FoldSearch",
    "FoldTable",
    "Imbalance",
    "VirtualGroups",
    "cut_groups",
    "group_kfold",
    "imbalance",
    "kfold",
    "leave_one_group_out",
    "link_groups",
    "make_folds",
    "read_folds",
    "search",
    "strata_of",
    "stratified_group_kfold",
    "stratified_kfold",
    "time_blocks",
    "whole_table",
    "write_folds",
]
