"""What an article is called among the others: its address's last part."""

import hashlib

SHORT_HASH = 8


def article_id(url: str, taken: dict[str, str]) -> str:
    """The URL's last part; a second URL that ends in the same gets a hash. taken: the URLs by their ids, added to."""
    name = url.rstrip("/").rpartition("/")[2]
    if taken.setdefault(name, url) == url:
        return name
    return f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:SHORT_HASH]}"
