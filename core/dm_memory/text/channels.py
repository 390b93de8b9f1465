"""The channels marketers work in, and the words by which texts and campaigns name them."""

from __future__ import annotations

from functools import lru_cache

from dm_memory.text.terms import Term, TermIndex, words_of

__all__ = ["channel_terms", "channels_named"]

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
        "pop-up event",
        "roadshow",
        "field marketing",
        "expo",
    ),
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
        "performance max",
        "pay per click",
    ),
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
        "digital pr",
    ),
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

# What is understood in texts of brands that write these languages; words that mean something else in another language
# ("salon", "messe") are why they are not looked for everywhere.
_BY_LANGUAGE: dict[str, dict[str, tuple[str, ...]]] = {
    "de": {
        "email": ("rundbrief", "rundmail", "rundmails", "e-mail-marketing", "mailing", "mailings"),
        "direct-mail": ("postwurf", "postwurfsendung", "werbebrief", "werbebriefe", "postkarten", "postmailing"),
        "display": ("bannerwerbung", "displayanzeigen", "display-anzeigen"),
        "events": ("messe", "messen", "fachmesse", "veranstaltung", "veranstaltungen", "konferenz"),
        "out-of-home": ("aussenwerbung", "außenwerbung", "plakat", "plakate", "plakatwerbung"),
        "paid-search": ("suchanzeigen", "suchmaschinenwerbung", "google-anzeigen"),
        "paid-social": ("social-media-anzeigen", "bezahlte soziale medien"),
        "pr": ("pressemitteilung", "pressemitteilungen", "pressearbeit", "öffentlichkeitsarbeit"),
        "print": ("zeitungsanzeige", "zeitungsanzeigen", "printanzeige", "printanzeigen", "anzeigenblatt"),
        "radio": ("radiospot", "radiospots", "radiowerbung"),
        "referral": ("empfehlungsprogramm", "freunde werben"),
        "seo": ("suchmaschinenoptimierung", "organische suche"),
        "social": ("soziale medien", "soziale netzwerke", "social-media"),
        "tv": ("fernsehspot", "fernsehwerbung", "tv-spot"),
        "website": ("webseite", "startseite", "landingpage", "landingpages", "zielseite"),
    },
    "fr": {
        "email": ("courriel", "courriels", "e-mailing", "emailing", "infolettre", "infolettres"),
        "direct-mail": ("publipostage", "courrier postal", "carte postale"),
        "display": ("bannière publicitaire", "bannières publicitaires"),
        "events": ("salon professionnel", "salons professionnels", "foire", "événement", "événements", "conférence"),
        "influencer": ("influenceur", "influenceurs", "influenceuse", "influenceuses"),
        "out-of-home": ("affichage urbain", "panneau publicitaire", "panneaux publicitaires"),
        "paid-search": ("référencement payant", "liens sponsorisés"),
        "pr": ("communiqué de presse", "communiqués de presse", "relations presse"),
        "referral": ("parrainage", "programme de parrainage"),
        "seo": ("référencement naturel", "référencement"),
        "social": ("réseaux sociaux", "réseau social"),
        "tv": ("spot télé", "publicité télévisée"),
        "website": ("site web", "site internet", "page d'accueil", "page de destination"),
    },
    "es": {
        "email": ("correo electrónico", "correos electrónicos", "boletín", "boletines"),
        "direct-mail": ("correo postal", "buzoneo"),
        "events": ("feria", "ferias", "evento", "eventos", "congreso"),
        "influencer": ("influenciador", "influenciadores", "influenciadora"),
        "out-of-home": ("valla publicitaria", "vallas publicitarias", "publicidad exterior"),
        "paid-search": ("búsqueda de pago", "anuncios de búsqueda"),
        "pr": ("nota de prensa", "notas de prensa", "comunicado de prensa"),
        "referral": ("programa de referidos", "recomienda a un amigo"),
        "seo": ("posicionamiento web", "búsqueda orgánica"),
        "social": ("redes sociales", "red social"),
        "website": ("sitio web", "página web", "página de aterrizaje"),
    },
    "it": {
        "email": ("posta elettronica", "bollettino"),
        "events": ("fiera", "fiere", "evento", "eventi", "convegno"),
        "out-of-home": ("cartellone", "cartelloni", "affissioni"),
        "pr": ("comunicato stampa", "comunicati stampa"),
        "seo": ("ricerca organica", "posizionamento organico"),
        "social": ("reti sociali", "social network"),
        "website": ("sito web", "pagina di destinazione"),
    },
    "pt": {
        "email": ("correio eletrónico", "correio eletrônico", "boletim"),
        "events": ("feira", "feiras", "evento", "eventos", "congresso"),
        "influencer": ("influenciador", "influenciadores", "influenciadora"),
        "pr": ("comunicado de imprensa", "assessoria de imprensa"),
        "social": ("redes sociais", "rede social", "mídias sociais"),
        "website": ("página de destino", "sítio web"),
    },
    "nl": {
        "email": ("nieuwsbrief", "nieuwsbrieven", "e-mailing"),
        "events": ("beurs", "beurzen", "evenement", "evenementen"),
        "out-of-home": ("buitenreclame", "billboards", "abri"),
        "pr": ("persbericht", "persberichten"),
        "seo": ("zoekmachineoptimalisatie", "organisch zoeken"),
        "paid-search": ("zoekadvertenties",),
        "social": ("sociale media",),
        "website": ("webpagina", "landingspagina"),
    },
    "pl": {
        "email": ("poczta elektroniczna", "biuletyn", "mailing"),
        "events": ("targi", "wydarzenie", "konferencja"),
        "pr": ("informacja prasowa", "informacje prasowe"),
        "social": ("media społecznościowe", "mediach społecznościowych"),
        "website": ("strona internetowa", "strona docelowa"),
    },
    "sv": {
        "email": ("nyhetsbrev", "e-post", "mejl"),
        "events": ("mässa", "mässor", "evenemang"),
        "pr": ("pressmeddelande", "pressmeddelanden"),
        "social": ("sociala medier",),
        "website": ("webbplats", "landningssida", "hemsida"),
    },
    "da": {"email": ("nyhedsbrev", "nyhedsbreve"), "events": ("messe",), "social": ("sociale medier",)},
    "no": {"email": ("nyhetsbrev", "e-post"), "events": ("messe",), "social": ("sosiale medier",)},
    "fi": {"email": ("sähköposti", "uutiskirje"), "events": ("messut",), "social": ("sosiaalinen media",)},
    "ja": {
        "email": ("メルマガ", "メールマガジン", "電子メール"),
        "events": ("展示会", "見本市"),
        "pr": ("プレスリリース",),
        "paid-search": ("リスティング広告", "検索広告"),
        "social": ("ソーシャルメディア",),
        "influencer": ("インフルエンサー",),
        "website": ("ランディングページ", "ウェブサイト"),
    },
    "zh": {
        "email": ("电子邮件", "電子郵件", "邮件营销"),
        "events": ("展会", "展會"),
        "social": ("社交媒体", "社群媒體"),
        "paid-search": ("搜索广告",),
        "influencer": ("网红", "達人"),
        "website": ("落地页", "网站"),
    },
    "ko": {
        "email": ("이메일", "뉴스레터"),
        "social": ("소셜 미디어",),
        "influencer": ("인플루언서",),
        "website": ("랜딩 페이지",),
    },
    "ru": {
        "email": ("рассылка", "рассылки", "электронная почта"),
        "events": ("выставка", "выставки"),
        "social": ("социальные сети", "соцсети"),
        "website": ("посадочная страница", "лендинг"),
    },
}

_CHANNEL_TERMS: tuple[Term, ...] = (
    *(Term(word, f"channel:{channel}") for channel, words in _CHANNELS.items() for word in words),
    Term("PR", "channel:pr", exact_case=True),
)
"""Labels are finished tags."""


@lru_cache(maxsize=64)
def channel_terms(languages: tuple[str, ...] = ()) -> tuple[Term, ...]:
    """Return the terms for texts of a brand that writes ``languages`` (ISO 639-1); English is always among them."""
    own = (
        Term(word, f"channel:{channel}")
        for language in languages
        for channel, words in _BY_LANGUAGE.get(language, {}).items()
        for word in words
    )
    return (*_CHANNEL_TERMS, *own)


@lru_cache(maxsize=1)
def _any_language() -> TermIndex:
    return TermIndex(channel_terms(tuple(_BY_LANGUAGE)))


@lru_cache(maxsize=1024)
def channels_named(name: str) -> tuple[str, ...]:
    """Return the channel tags that a channel's own name stands for, in any language: "Außenwerbung", "paid social"."""
    return tuple(_any_language().find(name, words_of(name)))
