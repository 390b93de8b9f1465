"""The channels marketers work in, and the words by which texts and campaigns name them."""

from __future__ import annotations

from dm_memory.sync.terms import Term

__all__ = ["CHANNEL_TERMS"]

_CHANNELS: dict[str, tuple[str, ...]] = {
    "affiliate": ("affiliate", "affiliates", "affiliate marketing", "affiliate program", "affiliate programme"),
    "amazon": ("amazon ads", "amazon advertising", "amazon marketplace", "sponsored products"),
    "app-store": ("app store", "google play", "app store optimization", "app store optimisation"),
    "blog": ("blog", "blogs", "blogging", "blog post", "blog posts", "blogpost"),
    "chat": ("live chat", "chatbot", "chatbots", "messenger"),
    "community": ("discord", "slack community", "online community", "community forum"),
    "content": (
        "content marketing",
        "whitepaper",
        "white paper",
        "whitepapers",
        "ebook",
        "e-book",
        "ebooks",
        "pillar page",
    ),
    "direct-mail": ("direct mail", "postcard mailing", "postcards", "mailers", "catalogue mailing", "print mailing"),
    "display": (
        "display ads",
        "display advertising",
        "banner ads",
        "display campaign",
        "programmatic",
        "gdn",
        "retargeting ads",
    ),
    "email": (
        "email",
        "emails",
        "e-mail",
        "e-mails",
        "newsletter",
        "newsletters",
        "mailchimp",
        "klaviyo",
        "drip campaign",
    ),
    "events": (
        "trade show",
        "trade shows",
        "tradeshow",
        "conference",
        "conferences",
        "trade fair",
        "live event",
        "live events",
    )
    + ("pop-up event", "roadshow", "field marketing", "expo"),
    "facebook": ("facebook", "facebook ads", "meta ads"),
    "google-business": ("google business profile", "google my business"),
    "influencer": (
        "influencer",
        "influencers",
        "influencer marketing",
        "creator partnership",
        "creator partnerships",
        "ugc creators",
    ),
    "instagram": ("instagram", "instagram reels", "reels", "ig stories", "instagram stories", "meta ads"),
    "linkedin": ("linkedin", "linkedin ads"),
    "organic-social": ("organic social",),
    "out-of-home": ("out of home", "ooh", "dooh", "billboard", "billboards", "transit ads"),
    "paid-search": (
        "paid search",
        "ppc",
        "google ads",
        "adwords",
        "search ads",
        "sem",
        "bing ads",
        "microsoft ads",
        "shopping ads",
    )
    + ("performance max", "pay per click"),
    "paid-social": ("paid social", "social ads", "meta ads"),
    "pinterest": ("pinterest",),
    "podcast": ("podcast", "podcasts", "podcasting", "podcast ads"),
    "pr": (
        "press release",
        "press releases",
        "public relations",
        "media relations",
        "press coverage",
        "earned media",
        "pr campaign",
    )
    + ("digital pr",),
    "print": ("print ads", "magazine ads", "newspaper ads"),
    "push": ("push notification", "push notifications", "web push"),
    "radio": ("radio ads", "radio spot", "radio spots"),
    "reddit": ("reddit", "subreddit"),
    "referral": ("referral program", "referral programme", "refer a friend"),
    "seo": (
        "seo",
        "organic search",
        "search engine optimization",
        "search engine optimisation",
        "backlinks",
        "organic rankings",
    ),
    "sms": ("sms", "text message", "text messages", "text messaging", "mms"),
    "snapchat": ("snapchat",),
    "social": ("social media",),
    "threads": ("threads app", "meta threads"),
    "tiktok": ("tiktok", "tik tok", "tiktoks"),
    "tv": ("tv ads", "tv spot", "tv spots", "television", "connected tv", "ctv", "ott"),
    "video": ("video ads", "video marketing"),
    "webinar": ("webinar", "webinars"),
    "website": ("landing page", "landing pages", "website", "homepage"),
    "whatsapp": ("whatsapp",),
    "x": ("twitter", "tweet", "tweets", "x ads"),
    "youtube": ("youtube", "youtube ads", "youtube shorts"),
}

# Short names that are also words or syllables elsewhere, found in capitals only.
_IN_CAPITALS = {"pr": ("PR",), "push": (), "website": ()}

CHANNEL_TERMS: tuple[Term, ...] = tuple(
    Term(word, f"channel:{channel}") for channel, words in _CHANNELS.items() for word in words
) + tuple(
    Term(word, f"channel:{channel}", exact_case=True) for channel, words in _IN_CAPITALS.items() for word in words
)
"""Labels are finished tags."""
