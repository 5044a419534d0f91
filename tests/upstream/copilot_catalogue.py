"""The models that fake Copilot seats may use (copilot.md 6), one for each way to be asked."""

from typing import Any


def _model(name: str, vendor: str, endpoints: list[str], **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "vendor": vendor,
        "version": name,
        "object": "model",
        "preview": False,
        "is_chat_default": False,
        "is_chat_fallback": False,
        "model_picker_enabled": True,
        "model_picker_category": "versatile",
        "policy": {"state": "enabled", "terms": ""},
        "supported_endpoints": endpoints,
        "billing": {"is_premium": True, "multiplier": 1},
        "capabilities": {
            "type": "chat",
            "family": name,
            "object": "model_capabilities",
            "tokenizer": "o200k_base",
            "limits": {
                "max_context_window_tokens": 400000,
                "max_prompt_tokens": 272000,
                "max_output_tokens": 128000,
            },
            "supports": {"streaming": True, "tool_calls": True, "parallel_tool_calls": True, "vision": False},
        },
        **more,
    }


CATALOGUE: tuple[dict[str, Any], ...] = (
    _model("claude-sonnet-4.6", "Anthropic", ["/v1/messages", "/chat/completions"], is_chat_default=True),
    _model("gpt-5.4", "OpenAI", ["/responses", "ws:/responses"]),
    _model("gpt-5-mini", "OpenAI", ["/responses"]),
    _model("gpt-4.1", "Azure OpenAI", ["/chat/completions"], is_chat_fallback=True),
    _model("gpt-4o", "Azure OpenAI", ["/chat/completions"]),
    _model("gpt-4o-mini", "Azure OpenAI", ["/chat/completions"]),  # the language server's follow-up questions
)

COMPLETION_MODELS: tuple[dict[str, Any], ...] = (
    _model(
        "gpt-41-copilot",
        "Azure OpenAI",
        ["/v1/engines/gpt-41-copilot/completions"],
        capabilities={
            "type": "completion",
            "family": "gpt-41-copilot",
            "object": "model_capabilities",
            "tokenizer": "o200k_base",
            "supports": {"streaming": True},
        },
    ),
)
