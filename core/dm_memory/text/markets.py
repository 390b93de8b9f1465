"""Markets and their languages: the names they go by, and the privacy laws that apply in them.

Codes are ISO 3166-1 (countries) and 3166-2 (parts of the US). The laws are named as marketers meet them; this is a
reminder, not legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from unicodedata import normalize

__all__ = [
    "is_month_first",
    "language_codes",
    "languages_of_markets",
    "laws_of",
    "names_of",
    "regions_of",
]

_GAPS = re.compile(r"[\s\-_]+")
_GDPR = "GDPR"
_UK = "UK GDPR"
_US_STATES = "US state privacy laws such as CCPA/CPRA"
_CCPA = "CCPA/CPRA"

# market: (laws, the other names it goes by). Codes of two or three capitals are matched in capitals only.
_MARKETS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "european union": ((_GDPR,), ("EU", "E.U.", "EEA", "EU27", "eurozone", "euro zone", "european economic area")),
    "europe": ((_GDPR, _UK), ("european", "western europe", "continental europe", "EMEA")),
    "dach": ((_GDPR, "Swiss FADP"), ("DACH", "german speaking", "d-a-ch")),
    "nordics": ((_GDPR,), ("nordic", "scandinavia")),
    "benelux": ((_GDPR,), ("BENELUX",)),
    "baltics": ((_GDPR,), ("baltic states",)),
    "austria": ((_GDPR,), ("AT", "AUT", "österreich")),
    "belgium": ((_GDPR,), ("BE", "BEL", "belgië", "belgique")),
    "bulgaria": ((_GDPR,), ("BG", "BGR")),
    "croatia": ((_GDPR,), ("HR", "HRV", "hrvatska")),
    "cyprus": ((_GDPR,), ("CY", "CYP")),
    "czechia": ((_GDPR,), ("CZ", "CZE", "czech republic", "česko")),
    "denmark": ((_GDPR,), ("DK", "DNK", "danmark")),
    "estonia": ((_GDPR,), ("EE", "EST", "eesti")),
    "finland": ((_GDPR,), ("FI", "FIN", "suomi")),
    "france": ((_GDPR,), ("FR", "FRA")),
    "germany": ((_GDPR,), ("DE", "DEU", "GER", "deutschland")),
    "greece": ((_GDPR,), ("GR", "GRC")),
    "hungary": ((_GDPR,), ("HU", "HUN", "magyarország")),
    "ireland": ((_GDPR,), ("IE", "IRL", "republic of ireland")),
    "italy": ((_GDPR,), ("IT", "ITA", "italia")),
    "latvia": ((_GDPR,), ("LV", "LVA")),
    "lithuania": ((_GDPR,), ("LT", "LTU")),
    "luxembourg": ((_GDPR,), ("LU", "LUX", "luxemburg")),
    "malta": ((_GDPR,), ("MT", "MLT")),
    "netherlands": ((_GDPR,), ("NL", "NLD", "the netherlands", "holland", "nederland")),
    "poland": ((_GDPR,), ("PL", "POL", "polska")),
    "portugal": ((_GDPR,), ("PT", "PRT")),
    "romania": ((_GDPR,), ("RO", "ROU", "românia")),
    "slovakia": ((_GDPR,), ("SK", "SVK", "slovensko")),
    "slovenia": ((_GDPR,), ("SI", "SVN", "slovenija")),
    "spain": ((_GDPR,), ("ES", "ESP", "españa")),
    "sweden": ((_GDPR,), ("SE", "SWE", "sverige")),
    "norway": ((_GDPR,), ("NO", "NOR", "norge")),
    "iceland": ((_GDPR,), ("IS", "ISL")),
    "liechtenstein": ((_GDPR,), ("LI", "LIE")),
    "united kingdom": (
        (_UK,),
        ("UK", "U.K.", "GB", "GBR", "great britain", "britain", "england", "scotland", "wales", "northern ireland"),
    ),
    "switzerland": (("Swiss FADP",), ("CH", "CHE", "schweiz", "suisse", "svizzera")),
    "united states": (
        (_US_STATES,),
        ("US", "USA", "U.S.", "U.S.A.", "united states of america", "america", "north america", "NORAM"),
    ),
    "california": ((_CCPA,), ("US-CA", "los angeles", "san francisco", "bay area")),
    "virginia": (("Virginia VCDPA",), ("US-VA",)),
    "west virginia": ((), ("US-WV",)),
    "colorado": (("Colorado Privacy Act",), ("US-CO",)),
    "connecticut": (("Connecticut CTDPA",), ("US-CT",)),
    "utah": (("Utah UCPA",), ("US-UT",)),
    "texas": (("Texas TDPSA",), ("US-TX",)),
    "oregon": (("Oregon OCPA",), ("US-OR",)),
    "montana": (("Montana MCDPA",), ("US-MT",)),
    "new mexico": ((), ("US-NM",)),
    "iowa": (("Iowa ICDPA",), ("US-IA",)),
    "delaware": (("Delaware DPDPA",), ("US-DE",)),
    "new jersey": (("New Jersey NJDPA",), ("US-NJ",)),
    "new hampshire": (("New Hampshire NHPA",), ("US-NH",)),
    "nebraska": (("Nebraska NDPA",), ("US-NE",)),
    "tennessee": (("Tennessee TIPA",), ("US-TN",)),
    "minnesota": (("Minnesota MCDPA",), ("US-MN",)),
    "maryland": (("Maryland MODPA",), ("US-MD",)),
    "indiana": (("Indiana ICDPA",), ("US-IN",)),
    "kentucky": (("Kentucky KCDPA",), ("US-KY",)),
    "rhode island": (("Rhode Island RIDTPPA",), ("US-RI",)),
    "florida": (("Florida FDBR",), ("US-FL",)),
    "brazil": (("LGPD",), ("BR", "BRA", "brasil")),
    "canada": (("PIPEDA",), ("CA", "CAN")),
    "quebec": (("PIPEDA", "Quebec Law 25"), ("québec", "CA-QC")),
    "mexico": (("Mexico LFPDPPP",), ("MX", "MEX", "méxico")),
    "argentina": (("Argentina PDPA",), ("AR", "ARG")),
    "australia": (("Australian Privacy Act",), ("AU", "AUS")),
    "anz": (("Australian Privacy Act", "New Zealand Privacy Act"), ("ANZ",)),
    "new zealand": (("New Zealand Privacy Act",), ("NZ", "NZL", "aotearoa")),
    "japan": (("APPI",), ("JP", "JPN", "日本")),
    "south korea": (("PIPA",), ("KR", "KOR", "korea", "republic of korea", "한국", "대한민국")),
    "north korea": ((), ("KP",)),
    "china": (("PIPL",), ("CN", "CHN", "mainland china", "prc", "中国", "中國")),
    "hong kong": (("Hong Kong PDPO",), ("HK", "HKG", "香港")),
    "taiwan": (("Taiwan PDPA",), ("TW", "TWN", "台灣", "台湾")),
    "india": (("DPDP Act",), ("IN", "IND", "bharat", "भारत")),
    "singapore": (("Singapore PDPA",), ("SG", "SGP")),
    "thailand": (("Thailand PDPA",), ("TH", "THA", "ประเทศไทย")),
    "malaysia": (("Malaysia PDPA",), ("MY", "MYS")),
    "indonesia": (("Indonesia PDP Law",), ("ID", "IDN")),
    "philippines": (("Philippines Data Privacy Act",), ("PH", "PHL", "the philippines")),
    "vietnam": (("Vietnam PDPD",), ("VN", "VNM", "viet nam", "việt nam")),
    "south africa": (("POPIA",), ("ZA", "ZAF")),
    "nigeria": (("Nigeria NDPA",), ("NG", "NGA")),
    "kenya": (("Kenya DPA",), ("KE", "KEN")),
    "turkey": (("KVKK",), ("TR", "TUR", "türkiye", "turkiye")),
    "israel": (("Israel PPL",), ("IL", "ISR")),
    "united arab emirates": (("UAE PDPL",), ("UAE", "AE", "emirates", "dubai")),
    "saudi arabia": (("Saudi PDPL",), ("SA", "SAU", "KSA")),
    "latin america": (("LGPD",), ("LATAM", "south america")),
    "global": ((_GDPR, _UK, _US_STATES), ("worldwide", "international", "world")),
}


def _folded(text: str) -> str:
    return " ".join(_GAPS.sub(" ", normalize("NFC", text).casefold()).split())


def _is_code(name: str) -> bool:
    return name.isupper() and name.isascii()


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    """Match any of ``names`` as whole words, the longest first: "New Mexico" is not Mexico."""
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


_SAFE_CODES = frozenset(
    {"US", "USA", "U.S.", "U.S.A.", "UK", "U.K.", "EU", "E.U.", "EMEA", "DACH", "BENELUX"}
) | frozenset({"LATAM", "ANZ", "UAE", "KSA", "NORAM"})
_NOT_IN_TEXTS = frozenset({"america", "world", "emirates"})
"""Names that in running text more often mean something else (Latin America, the world of coffee, an airline)."""
_TOO_WIDE = frozenset({"global"})

_ALL_NAMES = [(name, market) for market, (_, names) in _MARKETS.items() for name in (market, *names)]
_BY_NAME = {_folded(name): market for name, market in _ALL_NAMES}
_CODES = {name: market for name, market in _ALL_NAMES if _is_code(name)}
_WORDS_PATTERN = _any_of(_folded(name) for name, _ in _ALL_NAMES if not _is_code(name))
_CODES_PATTERN = _any_of(_CODES)


@lru_cache(maxsize=1024)
def _markets_in(market: str) -> tuple[str, ...]:
    """Return the known markets that a profile's entry names: ``"Germany (DACH)"`` names two, ``"de"`` one."""
    whole = _BY_NAME.get(_folded(market))
    if whole is not None:
        return (whole,)
    found = [_BY_NAME[match] for match in _WORDS_PATTERN.findall(_folded(market))]
    found += [_CODES[match] for match in _CODES_PATTERN.findall(normalize("NFC", market))]
    return tuple(dict.fromkeys(found))


def laws_of(market: str) -> tuple[str, ...]:
    """Return the privacy laws that apply in ``market`` as a profile writes it; an empty tuple if none is known."""
    return tuple(dict.fromkeys(law for known in _markets_in(market) for law in _MARKETS[known][0]))


def names_of(market: str) -> tuple[str, ...]:
    """Return the names by which texts mention ``market``, besides its own; codes among them are in capitals.

    Codes of two letters are left out where they are also words or syllables in capitals (``IN`` as in OPT-IN).
    """
    whole = _BY_NAME.get(_folded(market))
    if whole is None or whole in _TOO_WIDE:
        return ()
    names = (whole, *_MARKETS[whole][1])
    return tuple(name for name in names if name not in _NOT_IN_TEXTS and (name in _SAFE_CODES or not _is_code(name)))


_LANGUAGES: dict[str, tuple[str, ...]] = {
    "de": ("dach", "germany", "austria", "switzerland", "liechtenstein", "luxembourg"),
    "fr": ("france", "belgium", "switzerland", "luxembourg", "quebec", "canada"),
    "nl": ("netherlands", "belgium", "benelux"),
    "es": ("spain", "mexico", "argentina", "latin america"),
    "it": ("italy", "switzerland"),
    "pt": ("portugal", "brazil", "latin america"),
    "pl": ("poland",),
    "sv": ("sweden", "nordics"),
    "da": ("denmark", "nordics"),
    "no": ("norway", "nordics"),
    "fi": ("finland", "nordics"),
    "ja": ("japan",),
    "zh": ("china", "taiwan", "hong kong"),
    "ko": ("south korea",),
}


def _market_languages(market: str) -> tuple[str, ...]:
    """Return the languages of ``market`` (ISO 639-1) beside English; () where none is known."""
    known = _markets_in(market)
    return tuple(code for code, markets in _LANGUAGES.items() if not set(markets).isdisjoint(known))


def is_month_first(market: str) -> bool | None:
    """Return whether ``market`` writes the month before the day; None if that is not known."""
    known = _markets_in(market)
    if not known or "canada" in known or "global" in known:
        return None
    american = {"united states"} | {
        name for name, (_laws, names) in _MARKETS.items() if any("US-" in code for code in names)
    }
    first = [name in american for name in known]
    return first[0] if len(set(first)) == 1 else None


_REGION_GROUPS: dict[str, tuple[str, ...]] = {
    "dach": ("DE", "AT", "CH"),
    "nordics": ("SE", "NO", "DK", "FI", "IS"),
    "benelux": ("BE", "NL", "LU"),
    "baltics": ("EE", "LV", "LT"),
    "anz": ("AU", "NZ"),
    "latin america": ("MX", "BR", "AR", "CL", "CO", "PE"),
    "quebec": ("CA",),
    "united kingdom": ("GB",),
    "global": (),
    "europe": (),
    "european union": (),
}


def regions_of(markets: Iterable[str]) -> tuple[str, ...]:
    """Return the regions (ISO 3166-1 alpha-2) in whose national form phone numbers of these markets are written."""
    regions: dict[str, None] = {}
    for market in markets:
        for known in _markets_in(market):
            group = _REGION_GROUPS.get(known)
            if group is None:
                codes = [name for name in _MARKETS[known][1] if _is_code(name) and name not in {"UK", "EU"}]
                group = (codes[0][:2],) if codes else ()
            regions.update(dict.fromkeys(group))
    return tuple(regions)


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
_CODE_BY_NAME = {name: code for code, names in _NAMES.items() for name in (code, *names.split())}


def language_codes(names: Iterable[str]) -> tuple[str, ...]:
    """Return the ISO 639-1 codes of languages as a profile names them: ``German``, ``de-AT``, ``Deutsch (Schweiz)``."""
    return tuple(dict.fromkeys(code for name in names if (code := _code(name))))


@lru_cache(maxsize=1024)
def _code(name: str) -> str:
    text = name.strip().casefold()
    first = text.replace("_", "-").partition("-")[0].strip()
    for candidate in (text, first, *text.replace("(", " ").replace(",", " ").replace("/", " ").split()):
        if code := _CODE_BY_NAME.get(candidate):
            return code
    return ""


def languages_of_markets(markets: Iterable[str]) -> tuple[str, ...]:
    """Return the languages that are written in ``markets``, for a brand whose profile names none."""
    return tuple(dict.fromkeys(code for market in markets for code in _market_languages(market)))
