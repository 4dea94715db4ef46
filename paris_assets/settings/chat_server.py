"""Settings of a model behind an OpenAI-compatible address: captioners and judges are asked alike."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from paris_assets.settings.credentials import refuse_credentials, refuse_secret_options
from paris_assets.settings.section import Section, tuning


class ChatServer(Section):
    """A model behind an OpenAI-compatible address (vLLM, SGLang, llama.cpp, OpenAI and others)."""

    url: Annotated[str, AfterValidator(refuse_credentials)] = tuning(
        "http://127.0.0.1:8000/v1", "address up to `/v1`; `chat/completions` is added"
    )
    model: str = Field(min_length=1, description="name of the model there; part of the results, so name its version")
    max_tokens: int = Field(
        default=512,
        ge=1,
        description="longest answer, tokens; what is cut off there is asked for once more with twice that",
    )
    temperature: float | None = Field(
        default=0.0, ge=0, le=2, description="of sampling; 0: the likeliest answer; null: the server's own"
    )
    options: Annotated[dict[str, Any], AfterValidator(refuse_secret_options)] = Field(
        default_factory=dict,
        description="further fields of every request, such as {chat_template_kwargs: {enable_thinking: false}}",
    )
    limit_field: Literal["max_tokens", "max_completion_tokens"] = tuning(
        "max_tokens", "what the server calls the longest answer; newer models of OpenAI take the second only"
    )
    key_env: str | None = tuning(None, "name of the environment variable that holds the key; null: none is sent")
    concurrency: int = tuning(8, "requests at once", ge=1, le=256)
    requests_per_minute: float | None = tuning(None, "most requests in a minute, retries included; null: any", gt=0)
    retries: int = tuning(4, "further tries after 408, 409, 425, 429, 5xx or no answer", ge=0)
    backoff_s: float = tuning(
        1.0, "longest wait before the first of them, doubled for each up to 60; Retry-After goes before it", ge=0
    )
    timeout_s: float = tuning(120.0, "longest wait for a whole answer, seconds", gt=0)
    cache: str = tuning("~/.cache/paris_assets/answers.sqlite", "file on this machine in which answers are kept")
