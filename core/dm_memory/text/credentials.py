"""Credentials in texts: keys and tokens by the shapes their issuers document, and assignments to telling names.

Every pattern starts at a word's beginning and has bounded repeats, so that hostile text costs linear time.
"""

from __future__ import annotations

import re

__all__ = ["SECRET_WORDS", "find_credential"]

_PASSWORDS = ("password", "passwords", "passwd", "passwort", "kennwort", "pwd", "passphrase", "passcode", "senha")
_MORE_PASSWORDS = ("contraseña", "wachtwoord", "passe")
_SECRETS = (
    "secret",
    "secrets",
    "token",
    "key",
    "bearer",
    "apikey",
    "apitoken",
    "authtoken",
    "accesstoken",
    "accesskey",
)
_MORE_SECRETS = ("clientsecret", "secretkey", "privatekey", "refreshtoken", "credential", "credentials")
SECRET_WORDS = frozenset(
    word.encode() for word in (*_PASSWORDS, *_MORE_PASSWORDS, *_SECRETS, *_MORE_SECRETS, "dbpassword", "userpassword")
)
"""A text without any of these words, an @ or a long run of token characters holds nothing this module looks for."""

_SHAPES: tuple[tuple[str, str], ...] = (
    ("private key", r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY"),
    ("AWS access key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("GitHub token", r"gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{30,255}"),
    ("GitLab token", r"gl(?:pat|dt|rt|ptt|soat)-[A-Za-z0-9_\-]{20,255}"),
    ("Slack token", r"xox[abeoprs]-[A-Za-z0-9\-]{10,255}|xapp-[0-9]-[A-Za-z0-9\-]{10,255}"),
    ("Slack webhook", r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_]{20,255}"),
    ("Stripe key", r"(?:sk|rk|whsec)_(?:(?:live|test)_)?[A-Za-z0-9]{20,255}"),
    ("Anthropic API key", r"sk-ant-[A-Za-z0-9_\-]{20,255}"),
    ("OpenAI API key", r"sk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_\-]{20,255}|[A-Za-z0-9]{32,255})"),
    ("Google API key", r"AIza[A-Za-z0-9_\-]{35}"),
    ("Google OAuth token", r"ya29\.[A-Za-z0-9_\-]{20,255}|GOCSPX-[A-Za-z0-9_\-]{20,255}"),
    ("SendGrid API key", r"SG\.[A-Za-z0-9_\-]{16,64}\.[A-Za-z0-9_\-]{16,64}"),
    ("Mailchimp API key", r"[0-9a-f]{32}-us[0-9]{1,2}(?![A-Za-z0-9])"),
    ("HubSpot token", r"pat-(?:na|eu)[0-9]-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    ("Shopify token", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("Facebook access token", r"EAA[A-Za-z0-9]{40,400}"),
    ("Hugging Face token", r"hf_[A-Za-z0-9]{30,64}"),
    ("npm token", r"npm_[A-Za-z0-9]{36}"),
    ("JSON web token", r"eyJ[A-Za-z0-9_\-]{8,4000}\.eyJ[A-Za-z0-9_\-]{8,8000}\.[A-Za-z0-9_\-]*"),
)
_TOKENS = re.compile("(?<![A-Za-z0-9_])(?:" + "|".join(f"({shape})" for _, shape in _SHAPES) + ")")

_LOGIN_URL = re.compile(r"://[^\s/:@]{0,256}:([^\s/@]{1,256})@[^\s@]")
_BEARER = re.compile(r"\bbearer[ \t]{1,3}([A-Za-z0-9\-._~+/]{16,512})", re.IGNORECASE)
_BETWEEN = r"[\"'*`]{0,3}\s{0,3}(?:=>?|:=?|\bis\b|\blautet\b)\s{0,3}[\"'*`]{0,3}"
_PASSWORD = re.compile(
    r"(?:passw(?:or[dt]|d)s?|kennwort|pwd|passphrase|passcode|senha|contrase(?:ñ|n\u0303)a|wachtwoord|mot\ de\ passe)"
    rf"{_BETWEEN}([^\s\"'`,;]{{6,64}})",
    re.IGNORECASE,
)
_NAMED_KEY = re.compile(
    r"(?:(?:api|access|secret|private|auth|client|app|account|signing|refresh|bearer)[ _\-]?(?:key|token|secret)"
    rf"|secret|token)(?:[_\-][A-Za-z0-9_\-]{{0,20}})?{_BETWEEN}([^\s\"'`,;]{{8,256}})",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"[<\[{$%(]|(?:your|my|the|example|changeme|placeholder|xxx|\*\*\*|\.\.\.)", re.IGNORECASE)
_MIN_KEY_CHARS = 12


def find_credential(text: str) -> str:
    """Return what sort of credential ``text`` holds, in a report's words, or "" where it holds none."""
    if match := _TOKENS.search(text):
        return _SHAPES[(match.lastindex or 1) - 1][0]
    if any(not _PLACEHOLDER.match(match[1]) for match in _LOGIN_URL.finditer(text)):
        return "connection string with a password"
    if any(_mixed(match[1]) for match in _BEARER.finditer(text)):
        return "bearer token"
    if any(_is_password(match[1]) for match in _PASSWORD.finditer(text)):
        return "password"
    if any(_is_key(match[1]) for match in _NAMED_KEY.finditer(text)):
        return "API key"
    return ""


def _mixed(value: str) -> bool:
    """Return True for letters with digits: random values have both, words don't."""
    return any(char.isdigit() for char in value) and any(char.isalpha() for char in value)


def _is_password(value: str) -> bool:
    bare = value.rstrip(".!?)")
    if _PLACEHOLDER.match(value):
        return False
    marked = any(char in "!@#$^&*+=~|" for char in bare) and any(char.isalpha() for char in bare)
    return _mixed(value) or marked


def _is_key(value: str) -> bool:
    bare = value.rstrip(".!?)")
    return len(bare) >= _MIN_KEY_CHARS and _mixed(bare) and not _PLACEHOLDER.match(value)
