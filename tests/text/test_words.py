"""Words as search compares them: folded, stemmed, cut; and what of a question counts."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dm_memory.text.words import WORDS_VERSION, analyse, language_of, query_words, words_version


@pytest.mark.parametrize(
    ("text", "language", "asked"),
    [
        ("The campaigns doubled our sign-ups", "en", "campaign"),
        ("Die Kampagnen liefen über Händler", "de", "Kampagne"),
        ("Die größeren Anzeigen", "de", "groesser"),
        ("Nos campagnes d'e-mailing", "fr", "campagne"),
        ("L'économie locale", "fr", "economie"),
        ("Las campañas de otoño", "es", "campaña"),
        ("京都の店で春に売れたコーヒー豆", "ja", "コーヒー"),
        ("The goal for Q3-2026 was missed", "en", "q3 2026"),
        ("Clicks rose to 1,200", "en", "1200"),
        ("A rate of 12.5%", "en", "12,5"),
        ("Send it by e-mail", "en", "email"),
        ("Caroline’s advice", "en", "Caroline's"),  # noqa: RUF001  # a typographic apostrophe is what is tested
        ("ＦＵＬＬ width", "en", "full"),  # noqa: RUF001  # full-width letters are what is tested
        ("हिन्दी में विज्ञापन", "hi", "विज्ञापन"),
    ],
)
def test_a_text_is_found_by_other_forms_of_its_words(text: str, language: str, asked: str) -> None:
    indexed = set(analyse(text, language).split())
    words = query_words(asked, [language]).words
    assert words
    assert any(form in indexed for word in words for form in word.forms)


@given(text=st.text(max_size=200), language=st.sampled_from(["en", "de", "fr", "ja", "hi", "xx", ""]))
@settings(deadline=None)
def test_what_is_analysed_survives_the_tokenizer_of_fts5_as_it_is(text: str, language: str) -> None:
    words = analyse(text, language).split()
    assert all(word.isalnum() for word in words)
    known = [word for word in words if word.isascii()]  # SQLite's tables know fewer scripts than Python's
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5(text, tokenize = 'unicode61 remove_diacritics 0')")
    connection.execute("CREATE VIRTUAL TABLE terms USING fts5vocab(words, instance)")
    connection.execute("INSERT INTO words VALUES (?)", (" ".join(known),))
    assert [term for (term,) in connection.execute("SELECT term FROM terms ORDER BY offset")] == known
    connection.close()


def test_question_words_and_stop_words_of_the_questions_language_count_nothing() -> None:
    asked = query_words("Why did our mobile orders collapse?", ["en", "de"])
    assert [word.text for word in asked.words] == ["mobile", "orders", "collapse"]
    assert set(asked.ignored) == {"why", "did", "our"}
    assert [word.text for word in query_words("Warum war die Kampagne so teuer?", ["en", "de"]).words] == [
        "kampagne",
        "teuer",
    ]


def test_japanese_questions_are_asked_without_their_particles() -> None:
    words = [word.text for word in query_words("浅煎りは誰に売れましたか", ["ja"]).words]
    assert "浅煎" in words
    assert not any(word in {"まし", "した", "たか"} for word in words)


def test_a_question_of_stop_words_alone_is_taken_at_its_word() -> None:
    assert [word.text for word in query_words("who are we", ["en"]).words] == ["who", "are", "we"]


def test_a_word_is_looked_for_as_each_language_of_the_brand_stems_it() -> None:
    (word,) = query_words("Kampagnen", ["en", "de"]).words
    assert set(word.forms) == {"kampagnen", "kampagn"}


@pytest.mark.parametrize(
    "question",
    ['who said "blue roof"?', "who said “blue roof”?", "wer sagte „blue roof“?", "« blue roof »", "「blue roof」"],
)
def test_what_stands_in_quotation_marks_is_a_phrase(question: str) -> None:
    assert query_words(question, ["en"]).phrases == ("blue roof",)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Welcome e-mails work best on Sundays", "en"),
        ("Die Anzeigen liefen nicht so gut wie im Mai", "de"),
        ("Les abonnés ouvrent les messages du soir", "fr"),
        ("El boletín de los lunes se abre más", "es"),
        ("抹茶を飲む習慣のある客", "ja"),
        ("ROI 3.2", "en"),
    ],
)
def test_a_texts_language_is_one_of_the_brands_by_script_and_stop_words(text: str, language: str) -> None:
    assert language_of(text, ["en", "de", "fr", "es", "ja"]) == language


def test_the_version_names_analysis_stemmer_and_languages() -> None:
    assert words_version(["en", "de"]).startswith(WORDS_VERSION)
    assert words_version(["en", "de"]) != words_version(["de", "en"])


def test_texts_and_questions_of_a_brand_without_a_language_are_analysed_alike() -> None:
    text = "Carousels sell twice as many gift boxes."
    stored = analyse(text, language_of(text, ())).split()
    (word,) = query_words("boxes", ()).words
    assert set(word.forms) & set(stored)
    assert words_version(()) == words_version(("en",))


def test_two_words_that_others_write_together_are_looked_up_as_one_as_well() -> None:
    """A hyphen joins a stop word, too; a space does not."""
    found = {
        word.text: word.parts for word in query_words("Does the whats app check-out work for them", ("en",)).joined
    }
    assert found["whatsapp"] == ("whats", "app")
    assert found["checkout"] == ("check",)
    assert "forthem" not in found


@pytest.mark.parametrize(
    ("question", "language", "left"),
    [
        ("ما أثر الشحن المجاني على الطلبات؟", "ar", 4),
        ("Resultado do dia das mães", "pt", 3),
        ("多少钱可以免运费", "zh", 3),
    ],
)
def test_question_words_count_nothing_and_words_of_a_name_do(question: str, language: str, left: int) -> None:
    words = [word.text for word in query_words(question, (language,)).words]
    assert len(words) == left, words
