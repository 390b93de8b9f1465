"""Languages by name or code, as profiles write them, and the languages of markets."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from dm_memory.text.markets import market_languages

__all__ = ["language_codes", "languages_of_markets"]

_NAMES = {
    "en": "english englisch anglais inglés ingles inglese engels angielski engelska 英語 英语",
    "de": "german deutsch allemand alemán aleman tedesco duits niemiecki tyska ドイツ語 德语",
    "fr": "french französisch franzoesisch français francais francés francese frans francuski franska フランス語 法语",
    "es": "spanish spanisch espagnol español espanol castellano spagnolo spaans hiszpański spanska スペイン語 西班牙语",
    "it": "italian italienisch italien italiano italiaans włoski italienska イタリア語 意大利语",
    "pt": "portuguese portugiesisch portugais português portugues portugués portoghese portugees portugalski",
    "nl": "dutch niederländisch nederlands néerlandais neerlandés olandese holenderski flemish",
    "pl": "polish polnisch polonais polaco polacco pools polski",
    "sv": "swedish schwedisch suédois sueco svedese zweeds szwedzki svenska",
    "da": "danish dänisch danois danés deens dansk",
    "no": "norwegian norwegisch norvégien noruego noors norsk nb nn bokmål",
    "fi": "finnish finnisch finnois finlandés fins suomi",
    "cs": "czech tschechisch tchèque checo čeština",
    "ja": "japanese japanisch japonais japonés giapponese 日本語 jp",
    "zh": "chinese chinesisch chinois chino cinese 中文 汉语 mandarin cn",
    "ko": "korean koreanisch coréen coreano 한국어 kr",
    "ru": "russian russisch russe ruso русский",
    "tr": "turkish türkisch turc turco türkçe",
    "ar": "arabic arabisch arabe árabe العربية",
    "hi": "hindi हिन्दी",
    "hu": "hungarian ungarisch hongrois magyar",
    "ro": "romanian rumänisch roumain română",
    "el": "greek griechisch grec ελληνικά",
    "th": "thai ไทย",
    "vi": "vietnamese vietnamesisch tiếng việt",
    "id": "indonesian bahasa",
    "uk": "ukrainian ukrainisch українська",
    "he": "hebrew hebräisch עברית",
}
_LANGUAGES = {name: code for code, names in _NAMES.items() for name in (code, *names.split())}


def language_codes(names: Iterable[str]) -> tuple[str, ...]:
    """Return the ISO 639-1 codes of languages as a profile names them: ``German``, ``de-AT``, ``Deutsch (Schweiz)``."""
    return tuple(dict.fromkeys(code for name in names if (code := _code(name))))


@lru_cache(maxsize=1024)
def _code(name: str) -> str:
    text = name.strip().casefold()
    first = text.replace("_", "-").partition("-")[0].strip()
    for candidate in (text, first, *text.replace("(", " ").replace(",", " ").replace("/", " ").split()):
        if code := _LANGUAGES.get(candidate):
            return code
    return ""


def languages_of_markets(markets: Iterable[str]) -> tuple[str, ...]:
    """Return the languages that are written in ``markets``, for a brand whose profile names none."""
    return tuple(dict.fromkeys(code for market in markets for code in market_languages(market)))
