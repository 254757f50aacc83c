"""What an article is called among the others: its address's last part."""

import hashlib

SHORT_HASH = 8


def last_part(url: str) -> str:
    """What follows the address's last slash."""
    return url.rstrip("/").rpartition("/")[2]


def told_apart(name: str, url: str) -> str:
    """The name of an article whose address ends as an earlier one's."""
    return f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:SHORT_HASH]}"


def article_id(url: str, taken: dict[str, str]) -> str:
    """The URL's last part; a second URL that ends in the same gets a hash. taken: the URLs by their ids, added to."""
    name = last_part(url)
    return name if taken.setdefault(name, url) == url else told_apart(name, url)
