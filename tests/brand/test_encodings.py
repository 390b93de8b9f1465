"""Bytes that are not UTF-8 are read in the encoding of the part of the world they come from."""

from __future__ import annotations

import pytest

from dm_memory.brand.files import decode_text

SAMPLES = [
    ("cp1252", "Größe weiß, “so” – 5 €"),  # noqa: RUF001  # as people write it
    ("cp1252", "São Paulo, ação, coração"),
    ("cp1252", "Café à côté, façade naïve, 100 m³"),
    ("cp1252", "ÄÖÜ für coöperatie"),
    ("cp1250", "Mówimy spokojnie i po ludzku, zażółć gęślą jaźń"),
    ("cp1251", "Кампания;Расход\nЛето;1200 €\nмы говорим просто"),  # noqa: RUF001  # as people write it
    ("cp1256", "الحملة;التكلفة\nالصيف;1200"),  # noqa: RUF001  # as people write it
    ("cp932", "キャンペーン,費用,クリック\n夏,1200円,3"),
    ("euc_jp", "# 声\n\n私たちは静かに話します。"),
    ("gb18030", "活动,费用,点击\n夏季,1200,3\n微信推送更好"),
    ("big5", "# 聲音\n\n我們說話很安靜，不喊叫。"),  # noqa: RUF001  # as people write it
    ("euc_kr", "캠페인,비용\n여름,1200"),
    ("utf-16-le", "Campaign\tCost\nA\t1,50"),
    ("utf-16-be", "Campaign\tCost\nA\t1,50"),
    ("utf-16", "キャンペーン\t費用\n夏\t1"),
]


@pytest.mark.parametrize(("encoding", "text"), SAMPLES)
def test_a_file_is_read_in_the_encoding_that_it_was_saved_in(encoding: str, text: str) -> None:
    assert decode_text(text.encode(encoding)) == text
