"""Turn settings into what a client is made with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .pace import RetryPolicy, Timeouts
from .policies import RateLimit

if TYPE_CHECKING:
    from .config import Config


def arguments_of(config: Config) -> dict[str, Any]:
    """Return what both clients' constructors take of settings; it holds secrets.

    Raises:
        ConfigError: URL or credential is missing.
    """
    arguments: dict[str, Any] = {
        "api_url": config.require("url"),
        "fallback_urls": config.fallback_urls,
        **config.credential(),
    }
    if config.timeout_s is not None:
        arguments["timeouts"] = Timeouts.within(config.timeout_s)
    if config.retries is not None:
        arguments["retry"] = RetryPolicy(attempts=config.retries + 1)
    if config.rate_limit is not None:
        arguments["rate_limit"] = _rate_limit(config.rate_limit)
    return arguments


def _rate_limit(per_second: float) -> RateLimit:
    return RateLimit(per_second=per_second) if per_second else RateLimit.off()
