"""The names that the fakes answer to, and which fake a name belongs to."""

from enum import Enum

PLANS = ("individual", "business", "enterprise")
TENANT = "octo.ghe.com"

FAKE_HOSTS: tuple[str, ...] = (
    "chatgpt.com",
    "ab.chatgpt.com",
    "us.chatgpt.com",
    "auth.openai.com",
    "api.github.com",
    "github.com",
    "api.githubcopilot.com",
    *(f"{use}.{plan}.githubcopilot.com" for use in ("api", "proxy", "telemetry") for plan in PLANS),
    "copilot-proxy.githubusercontent.com",
    "copilot-telemetry.githubusercontent.com",
    f"api.{TENANT}",
    TENANT,
    f"copilot-api.{TENANT}",
    f"copilot-proxy.{TENANT}",
    "dc.services.visualstudio.com",
    "default.exp-tas.com",
    "example.com",
)
"""Every one resolves to loopback inside a `Lab`, and the fakes' certificate names every one."""

CERTIFICATE_NAMES: tuple[str, ...] = (*FAKE_HOSTS, "*.chatgpt.com")


class Site(Enum):
    """Which fake answers for a host."""

    CHATGPT = "chatgpt"
    OPENAI_AUTH = "openai-auth"
    GITHUB_API = "github-api"
    GITHUB_WEB = "github-web"
    """Where people sign in; everything else there is not pooled."""
    CAPI = "capi"
    """The Copilot API and the completions proxy (copilot.md 1.3, 1.4)."""
    ELSEWHERE = "elsewhere"


_CAPI_HOSTS = {
    "api.githubcopilot.com",
    *(f"{use}.{plan}.githubcopilot.com" for use in ("api", "proxy") for plan in PLANS),
    "copilot-proxy.githubusercontent.com",
    f"copilot-api.{TENANT}",
    f"copilot-proxy.{TENANT}",
}
_SITES: dict[str, Site] = {
    **dict.fromkeys(_CAPI_HOSTS, Site.CAPI),
    "auth.openai.com": Site.OPENAI_AUTH,
    "api.github.com": Site.GITHUB_API,
    f"api.{TENANT}": Site.GITHUB_API,
    "github.com": Site.GITHUB_WEB,
    TENANT: Site.GITHUB_WEB,
}


def site_of(host: str) -> Site:
    """The fake behind a host name; anything unknown answers as a site that is not pooled."""
    if host == "chatgpt.com" or host.endswith(".chatgpt.com"):
        return Site.CHATGPT
    return _SITES.get(host, Site.ELSEWHERE)


def copilot_endpoints(plan: str) -> dict[str, str]:
    """`endpoints` as the token and user answers give them for a plan (copilot.md 2.1)."""
    if plan == "ghe":
        return {
            "api": f"https://copilot-api.{TENANT}",
            "proxy": f"https://copilot-proxy.{TENANT}",
            "telemetry": f"https://copilot-api.{TENANT}",
        }
    return {
        "api": f"https://api.{plan}.githubcopilot.com",
        "proxy": f"https://proxy.{plan}.githubcopilot.com",
        "origin-tracker": f"https://telemetry.{plan}.githubcopilot.com",
        "telemetry": f"https://telemetry.{plan}.githubcopilot.com",
    }


_SHARED = {"api.githubcopilot.com", "copilot-proxy.githubusercontent.com"}


def serves_plan(host: str, plan: str) -> bool:
    """Whether a credential of this plan may be used on this host; otherwise the answer is 421 (copilot.md 2.5)."""
    if plan == "ghe":
        return host.endswith(f".{TENANT}")
    return host in _SHARED or host.endswith(f".{plan}.githubcopilot.com")
