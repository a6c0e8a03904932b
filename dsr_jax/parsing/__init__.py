"""Label maps from photos, with any human parser in an ONNX file (extra `parsing`)."""

from dsr_jax.parsing.folder import Tally, parse_folder
from dsr_jax.parsing.jobs import Job, find_jobs
from dsr_jax.parsing.parser import ClothingParser
from dsr_jax.parsing.recipes import RECIPES, recipe_by_name
from dsr_jax.parsing.record import RECORD_FILE, read_record
from dsr_jax.parsing.settings import ParserSettings
from dsr_jax.parsing.worker import WorkSettings

__all__ = [
    "RECIPES",
    "RECORD_FILE",
    "ClothingParser",
    "Job",
    "ParserSettings",
    "Tally",
    "WorkSettings",
    "find_jobs",
    "parse_folder",
    "read_record",
    "recipe_by_name",
]
