"""content-library/, voice-samples/ and templates/ -> approved copy, section by section; templates keep their blanks."""

from __future__ import annotations

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.guidelines import parse_page_or_data
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.items import ContentType, Kind, Value

__all__ = ["parse_asset"]

_LEADS = {"content-library": "Approved copy", "voice-samples": "Voice sample", "templates": "Template"}


def parse_asset(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the items of one file of approved copy.

    Raises:
        BrandFileError: A data file can't be read.
    """
    folder = file.path.split("/")[0]
    lead = _LEADS[folder]
    facts: dict[str, Value] = {"insight_type": lead.lower().replace(" ", "_"), "insight_source": folder}
    collector = Collector(file, Kind.GUIDELINE, limits)
    templates = folder == "templates"
    asset, below = ContentType.BRAND_ASSET, f"{folder}/"
    prefix = f"asset/{folder}"
    return parse_page_or_data(collector, data, context, prefix, below, asset, facts, lead, templates=templates)
