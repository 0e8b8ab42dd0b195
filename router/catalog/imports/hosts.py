"""Which host of ours a data set's provider is, and the id that goes on the wire there."""

from __future__ import annotations

import re

_LITELLM = {
    "amazon_nova": "amazon-nova",
    "azure_ai": "azure",
    "azure": "azure-openai",
    "azure_text": "azure-openai",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "lambda_ai": "lambda",
    "text-completion-codestral": "codestral",
    "text-completion-inception": "inception",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai": "vertex",
}
_GENAI = {"aws": "bedrock", "x-ai": "xai"}
_BEDROCK_US = frozenset({"us-east-1", "us-east-2", "us-west-2"})
_PREFIXES = {"azure_text": "azure", "amazon_nova": "amazon-nova"}


def litellm_place(key: str, provider: str) -> tuple[str, str]:
    """Host and wire id of a LiteLLM key such as "deepinfra/deepseek-ai/DeepSeek-V3.2"."""
    family = "vertex_ai" if provider.startswith("vertex_ai") else provider
    if family in {"bedrock", "bedrock_converse"}:
        return _bedrock(key)
    first, slash, rest = key.partition("/")
    wire = rest if slash and first in {family, _PREFIXES.get(family)} else key
    host = _LITELLM.get(family, _name(family))
    if host == "azure" and wire.startswith("FW-"):
        return "azure-fireworks", wire  # Fireworks' own offers inside Foundry
    return host, wire


def genai_host(provider: str) -> str:
    """Host of a genai-prices provider id."""
    return _GENAI.get(provider, _name(provider))


def _bedrock(key: str) -> tuple[str, str]:
    parts = key.split("/")
    if parts[0] == "bedrock" and len(parts) > 2:
        region, wire = parts[1], "/".join(parts[2:])
        # Outside the three American regions LiteLLM's prices may differ from one to the next.
        return ("bedrock-us" if region in _BEDROCK_US else f"bedrock-{_name(region)}"), wire
    wire = key.removeprefix("bedrock/")
    # An id without a region is priced as in the USA; "eu.", "apac." and the like are not.
    elsewhere = re.match(r"(eu|apac|jp|au|global|us-gov|ca|sa)\.", wire)
    return ("bedrock" if elsewhere else "bedrock-us"), wire


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-.") or "unnamed"
