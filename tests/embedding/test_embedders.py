"""Embedding models by name, and the bundled one."""

from __future__ import annotations

import logging
import math

import pytest

from dm_memory.embedding.models import WordLlamaEmbedder, make_embedder
from dm_memory.errors import ConfigurationError
from tests.support.embedders import HashEmbedder


@pytest.fixture(scope="module")
def wordllama() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gpt",
        "no_such_package.module:factory",
        "tests.support.embedders:nothing",
        "../evil:run",
        "a:b:c",
        "math:pi",
        "builtins:dict",
        "os.path",
    ],
)
def test_a_model_that_does_not_exist_is_a_clear_error(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_embedder(name)
    assert "DM_MEMORY_EMBEDDER" in caught.value.remedy


def test_a_model_of_ones_own_is_found_by_name() -> None:
    assert isinstance(make_embedder("tests.support.embedders:hashed"), HashEmbedder)


def test_the_bundled_model_is_named_without_being_loaded() -> None:
    embedder = WordLlamaEmbedder()
    assert embedder.setting.startswith("wordllama==")
    assert embedder._model is None


def test_the_bundled_model_says_what_it_is(wordllama: WordLlamaEmbedder) -> None:
    assert wordllama.spec.name == "wordllama-l2-supercat-256"
    assert wordllama.spec.dimension == 256
    assert len(wordllama.spec.weights) == 64


def test_loading_the_bundled_model_leaves_logging_alone() -> None:
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    WordLlamaEmbedder().embed_query("anything")
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == (handlers, level)


def test_vectors_have_length_one_whatever_the_texts(wordllama: WordLlamaEmbedder) -> None:
    texts = ["Short.", "漢字 and 🎉", "\x00", " ", "word " * 4000, "x", *(f"Learning number {n}." for n in range(200))]
    vectors = wordllama.embed_documents(texts)
    assert [len(vector) for vector in vectors] == [256] * len(texts)
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1.0] * len(texts), abs=1e-4)


def test_a_text_has_the_same_vector_alone_and_in_company(wordllama: WordLlamaEmbedder) -> None:
    texts = ["Short.", "A much longer text about newsletters and their subject lines. " * 30, "Middling, this one."]
    together = wordllama.embed_documents(texts)
    for text, vector in zip(texts, together, strict=True):
        assert wordllama.embed_query(text) == pytest.approx(vector, abs=1e-5)


def test_a_text_without_any_token_gets_zeros_not_nan(wordllama: WordLlamaEmbedder) -> None:
    assert set(wordllama.embed_query("")) == {0.0}
    assert wordllama.embed_documents([]) == []


LEARNINGS = [
    "Subject lines under forty characters lifted newsletter open rates by 12 percent.",
    "Video testimonials from existing customers convert better than studio adverts.",
    "Raising the price of the starter plan did not change how many people signed up.",
    "Retargeting people who abandoned their cart paid back four times its cost.",
    "Posts published on Sunday evening reach the most followers on Instagram.",
    "Webinars bring the best qualified leads for the enterprise product.",
    "The discount code for students was shared widely and lost us margin.",
    "Search adverts on our own brand name are wasted money when nobody else bids.",
    "Influencers with fewer than ten thousand followers delivered the cheapest installs.",
    "The checkout page loses mobile visitors because the form is too long.",
    "Direct mail to lapsed donors brought in more than the e-mail appeal.",
    "Our competitor launched a free tier and took the small agencies.",
    "Customers call the dashboard confusing in every support survey.",
    "The spring campaign in Germany failed because the translation sounded stiff.",
    "Case studies with numbers in the headline are downloaded twice as often.",
    "Push notifications after nine at night made people uninstall the app.",
    "Podcast sponsorship raised brand awareness but could not be measured in sales.",
    "Loyalty points made repeat purchases more frequent among families.",
    "A longer free trial brought fewer paying subscribers, not more.",
    "Blog articles that answer one question rank best in organic search.",
    "The trade fair stand cost more than every lead it produced was worth.",
    "Photos of real staff outperform stock pictures on the landing page.",
    "Sending the welcome series over five days halves unsubscribes.",
    "Local radio worked in small towns and did nothing in the capital.",
    "Chat on the pricing page answers doubts and shortens the sales cycle.",
    "Black Friday traffic crashed the shop for two hours and cost a day of revenue.",
    "Partner co-marketing with the accounting tool doubled referrals.",
    "Bright green call-to-action buttons made no difference at all.",
    "Reviews on third-party sites matter more to buyers than our own claims.",
    "Young audiences ignore Facebook but watch short clips to the end.",
]


QUESTIONS = {
    "how do we get more people to open our emails": 0,
    "did charging more hurt registrations": 2,
    "ads for shoppers who left without buying": 3,
    "micro creators on social media gave low acquisition cost": 8,
    "why do phone users not finish their order": 9,
    "late night alerts drove users away": 15,
    "exhibition booth not worth the expense": 20,
    "pictures of our employees versus stock photography": 21,
    "website outage during the sale": 25,
    "teenagers prefer short videos": 29,
}


def test_questions_in_other_words_mostly_find_their_learning_among_the_first_three(
    wordllama: WordLlamaEmbedder,
) -> None:
    """Static vectors don't know every paraphrase: of these 10 they find 7 by themselves."""
    learnings = wordllama.embed_documents(LEARNINGS)

    def nearest(question: str) -> list[int]:
        query = wordllama.embed_query(question)
        scores = [sum(one * other for one, other in zip(query, vector, strict=True)) for vector in learnings]
        return sorted(range(len(scores)), key=lambda place: -scores[place])[:3]

    assert sum(place in nearest(question) for question, place in QUESTIONS.items()) >= 7
