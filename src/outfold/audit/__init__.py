"""What makes a score better than the truth: checks on plain arrays and tables, each a list of findings.

`audit_dataset` and `audit_outcome` make all checks that a recipe and its data allow; the checks work alone too.
"""

from outfold.audit.alignment import broken_identities, identities, misaligned_columns
from outfold.audit.assemble import audit_dataset, audit_outcome, by_level
from outfold.audit.choices import balance_findings, few_groups, imbalance_findings, quota_findings
from outfold.audit.crossings import copy_crossings, group_crossings, shared_with_test
from outfold.audit.drift import adversarial, embedding_drift, serving_gaps, table_drift
from outfold.audit.evenness import evenness_findings
from outfold.audit.features import FileFacts, read_file_facts, table_features
from outfold.audit.known import Known
from outfold.audit.label_noise import label_candidates, label_noise
from outfold.audit.neighbours import neighbour_findings
from outfold.audit.outcome import (
    constant_inputs,
    constant_predictions,
    fold_scales,
    never_predicted,
    non_finite_predictions,
)
from outfold.audit.provenance import Artefact, leaks
from outfold.audit.splits import splits_by, splits_of
from outfold.audit.table_inputs import table_input_findings
from outfold.audit.telling import telling
from outfold.audit.unnamed import group_like_columns, unnamed_groups

__all__ = [
    "Artefact",
    "FileFacts",
    "Known",
    "adversarial",
    "audit_dataset",
    "audit_outcome",
    "balance_findings",
    "broken_identities",
    "by_level",
    "constant_inputs",
    "constant_predictions",
    "copy_crossings",
    "embedding_drift",
    "evenness_findings",
    "few_groups",
    "fold_scales",
    "group_crossings",
    "group_like_columns",
    "identities",
    "imbalance_findings",
    "label_candidates",
    "label_noise",
    "leaks",
    "misaligned_columns",
    "neighbour_findings",
    "never_predicted",
    "non_finite_predictions",
    "quota_findings",
    "read_file_facts",
    "serving_gaps",
    "shared_with_test",
    "splits_by",
    "splits_of",
    "table_drift",
    "table_features",
    "table_input_findings",
    "telling",
    "unnamed_groups",
]
