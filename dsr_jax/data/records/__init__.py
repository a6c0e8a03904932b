"""Record files: a data set as a few large files, each record complete in itself."""

from dsr_jax.data.records.build import SHARD_BYTES, BuildSettings, build_records
from dsr_jax.data.records.fields import FIELDS, VERSION, Field, Record
from dsr_jax.data.records.folder import is_record_folder
from dsr_jax.data.records.journal import Journal, Shard, read_journal
from dsr_jax.data.records.kinds import KINDS, DataSet
from dsr_jax.data.records.screening import Screening
from dsr_jax.data.records.source import RecordSource
from dsr_jax.data.records.verify import verify_records

__all__ = [
    "FIELDS",
    "KINDS",
    "SHARD_BYTES",
    "VERSION",
    "BuildSettings",
    "DataSet",
    "Field",
    "Journal",
    "Record",
    "RecordSource",
    "Screening",
    "Shard",
    "build_records",
    "is_record_folder",
    "read_journal",
    "verify_records",
]
