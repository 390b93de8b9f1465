"""content-library/, voice-samples/ and templates/ -> approved copy, section by section; templates keep their blanks."""

from __future__ import annotations

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.formats.pages import Target
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.brand.sources.guidelines import parse_file
from dm_memory.items import ContentType, Kind

__all__ = ["parse_asset"]

_LEADS = {"content-library": "Approved copy", "voice-samples": "Voice sample", "templates": "Template"}


def parse_asset(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the items of one file of approved copy.

    Raises:
        BrandFileError: A data file can't be read.
    """
    folder = file.path.split("/")[0]
    lead = _LEADS[folder]
    facts = {"insight_type": lead.lower().replace(" ", "_"), "insight_source": folder}
    target = Target(
        Collector(file, Kind.GUIDELINE, limits),
        f"asset/{folder}",
        f"{folder}/",
        ContentType.BRAND_ASSET,
        facts,
        lead,
        templates=folder == "templates",
    )
    return parse_file(target, data, context)
