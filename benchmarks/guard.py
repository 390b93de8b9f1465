"""The privacy guard: what it finds and wrongly touches in its corpus, what it costs, and phone numbers of the world.

Goals: no miss and no false alarm in the corpus, 10,500 texts of a brand in less than 60 ms, a harmless text of 200
characters in about 3 us. ``--others`` measures phonenumbers alone, detect-secrets and presidio, if they are installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import perf_counter

from measure import median, table

from dm_memory.text.guard import Guard
from dm_memory.text.terms import words_of
from tests.support.brands import brand_texts, make_home_of
from tests.text.corpus_guard import INNOCENT, MASKED, REFUSED

CLEAN = (
    "Founder videos outperformed the usual product shots on email by 12 percent in experiment 77, among first-time"
    " buyers in the second week, mostly on phones and in the evening, once the offer stood first."
)
MARKETS = ("DE", "US", "FR", "SG", "IN")
Row = tuple[str, str]


def share(found: int, of: int) -> str:
    """Return a rate as a reader wants it."""
    return f"{found} of {of} ({found / of:.1%})"


def corpus(regions: Sequence[str]) -> list[Row]:
    """Return what the guard makes of the labelled corpus."""
    guard = Guard("mask", regions)
    exact = sum(guard.apply(text).text == masked for text, masked, _ in MASKED)
    refused = sum(bool(guard.apply(text).refused) for text, _ in REFUSED)
    touched = [text for text in INNOCENT if guard.apply(text).text != text]
    return [
        ("personal data masked, and nothing else", share(exact, len(MASKED))),
        ("credentials left out", share(refused, len(REFUSED))),
        ("harmless texts touched", share(len(touched), len(INNOCENT))),
    ]


def world() -> list[Row]:
    """Return how many of the example numbers in phonenumbers' own data are found, in the forms people write."""
    import phonenumbers as plans  # noqa: PLC0415  # its import is measured below

    guard, rows = Guard("mask"), []
    sorts = (plans.PhoneNumberType.MOBILE, plans.PhoneNumberType.FIXED_LINE)
    numbers = [
        (region, number)
        for region in sorted(plans.SUPPORTED_REGIONS)
        for sort in sorts
        if (number := plans.example_number_for_type(region, sort)) is not None
    ]
    written = {
        name: [(region, plans.format_number(number, form)) for region, number in numbers]
        for name, form in (
            ("international", plans.PhoneNumberFormat.INTERNATIONAL),
            ("E.164", plans.PhoneNumberFormat.E164),
            ("national", plans.PhoneNumberFormat.NATIONAL),
        )
    }
    for name, texts in written.items():
        rows.append((f"{name}", share(sum(bool(guard.apply(text).hits) for _, text in texts), len(texts))))
    national = written["national"]
    named = sum(bool(guard.apply(f"Phone: {text}").hits) for _, text in national)
    at_home = sum(bool(Guard("mask", (region,)).apply(text).hits) for region, text in national)
    return [
        *rows,
        ('national, after "Phone:"', share(named, len(national))),
        ("national, of a target market", share(at_home, len(national))),
    ]


def cost(rounds: int) -> list[Row]:
    """Return the time of a brand's texts, of a harmless text, and of the first number that needs phonenumbers."""
    guard = Guard("mask", MARKETS)
    with tempfile.TemporaryDirectory() as name:
        texts = [text for _, text in brand_texts(make_home_of(Path(name) / "home", 10_500).brand)]
    known = [(text, words_of(text)) for text in texts]
    start = perf_counter()
    import phonenumbers  # noqa: F401, PLC0415  # measured here

    imported = perf_counter() - start
    brand = median([timed(lambda: [guard.apply(text, words) for text, words in known]) for _ in range(rounds)])
    words = words_of(CLEAN)
    clean = median([timed(lambda: [guard.apply(CLEAN, words) for _ in range(10_000)]) / 10_000 for _ in range(rounds)])
    found = [text for text, _, _ in MASKED]
    slow = median([timed(lambda: [guard.apply(text) for text in found]) / len(found) for _ in range(rounds)])
    return [
        (f"{len(texts):,} texts of a brand (goal < 60 ms)", f"{brand * 1e3:.1f} ms"),
        (f"a harmless text of {len(CLEAN)} characters", f"{clean * 1e6:.2f} us"),
        ("a text with personal data", f"{slow * 1e6:.0f} us"),
        ("import of phonenumbers, once", f"{imported * 1e3:.0f} ms"),
    ]


def timed(run: Callable[[], object]) -> float:
    """Return the seconds that ``run`` takes."""
    start = perf_counter()
    run()
    return perf_counter() - start


def rates(name: str, finds: Callable[[str], object], wanted: Iterable[str]) -> list[Row]:
    """Return what another library finds in the corpus, and what it costs."""
    texts = list(wanted)
    found, touched = (sum(bool(finds(text)) for text in some) for some in (texts, INNOCENT))
    each = timed(lambda: [finds(CLEAN) for _ in range(100)]) / 100
    line = f"{share(found, len(texts))}, harmless {share(touched, len(INNOCENT))}, {each * 1e6:.0f} us a text"
    return [(name, line)]


def phone_matcher() -> list[Row]:
    """Return what phonenumbers' own matcher finds in the corpus."""
    import phonenumbers as plans  # noqa: PLC0415  # measured

    phones = [text for text, _, what in MASKED if what == "phone number"]
    rows: list[Row] = []
    for regions in ((None,), ("US", "DE", "FR", "GB", "ES", "NL")):
        for leniency in ("VALID", "POSSIBLE"):

            def finds(text: str, regions: tuple[str | None, ...] = regions, leniency: str = leniency) -> bool:
                level = getattr(plans.Leniency, leniency)
                return any(plans.PhoneNumberMatcher(text, region, leniency=level).has_next() for region in regions)

            rows += rates(f"phonenumbers, {len(regions)} region(s), {leniency}", finds, phones)
    return rows


def others() -> list[Row]:
    """Return what the libraries we weighed find; those that are not installed are left out."""
    rows = phone_matcher()
    if importlib.util.find_spec("detect_secrets"):
        from detect_secrets import settings  # noqa: PLC0415  # optional
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # noqa: PLC0415  # optional
        from detect_secrets.core.scan import scan_line  # noqa: PLC0415  # optional

        plugins = [{"name": plugin.__name__} for plugin in get_mapping_from_secret_type_to_class().values()]
        shapes = [plugin for plugin in plugins if "Entropy" not in plugin["name"]]
        for name, used in (("all plugins", plugins), ("without entropy", shapes)):
            with settings.transient_settings({"plugins_used": used}):
                rows += rates(
                    f"detect-secrets, {name}",
                    lambda text: [found for line in text.split("\n") for found in scan_line(line)],
                    [text for text, _ in REFUSED],
                )
    if importlib.util.find_spec("presidio_analyzer"):
        from presidio_analyzer import predefined_recognizers as known  # noqa: PLC0415  # optional

        recognisers = [
            known.EmailRecognizer(),
            known.PhoneRecognizer(),
            known.CreditCardRecognizer(),
            known.IbanRecognizer(),
        ]
        rows += rates(
            "presidio, four recognisers",
            lambda text: [found for one in recognisers for found in one.analyze(text, one.supported_entities, None)],
            [text for text, _, _ in MASKED],
        )
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds; medians are shown (default 9)")
    parser.add_argument("--others", action="store_true", help="measure the libraries we weighed as well")
    options = parser.parse_args()
    table("Cost", cost(options.rounds))
    table(f"Corpus of {len(MASKED) + len(REFUSED) + len(INNOCENT)} texts, no target market", corpus(()))
    table(f"The same, target markets {', '.join(MARKETS)}", corpus(MARKETS))
    table("Example numbers of all countries (none of them ours)", world())
    if options.others:
        table("Others", others())
