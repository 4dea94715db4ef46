"""Ways to tell a server the JSON schema of an answer, and which of them it keeps to."""

from __future__ import annotations

from typing import Any

from paris_assets.models.chat import ChatClient, EndpointError
from paris_assets.models.completion import Completion, json_of

RESPONSE_FORMAT, STRUCTURED_OUTPUTS, GUIDED_JSON = "response_format", "structured_outputs", "guided_json"
WAYS = (RESPONSE_FORMAT, STRUCTURED_OUTPUTS, GUIDED_JSON)
"""OpenAI's, which most servers take; vLLM's own since 0.12, and before."""
AUTO, NONE = "auto", "none"
ODD = "heliotrope-7319"  # no model answers this by itself
_UNKNOWN_FIELD = {400, 415, 422, 500, 501}
_PROBE = [{"role": "user", "content": 'Name the capital of France. Answer as JSON: {"answer": "..."}'}]


def fields_of(way: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Fields of a request that hold its answer to a schema.

    Args:
        way: one of ``WAYS``, or ``NONE``, which has no field.
        name: of the schema: letters, digits, `_` and `-`.
    """
    if way == RESPONSE_FORMAT:
        return {way: {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}}
    return {NONE: {}, STRUCTURED_OUTPUTS: {way: {"json": schema}}, GUIDED_JSON: {way: schema}}[way]


def object_schema(properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with exactly these fields, in this order."""
    required, kind = list(properties), "object"
    return {"type": kind, "properties": properties, "required": required, "additionalProperties": False}


def way_of(client: ChatClient, wanted: str) -> str:
    """The way that a server keeps to: it is asked a question to which the schema allows one odd answer alone.

    Args:
        wanted: a way; ``AUTO``: the first of ``WAYS`` that works, else ``NONE``; ``NONE``: nothing is asked.

    Raises:
        EndpointError: the address answers nobody, or does not keep to the way that was wanted.
    """
    if wanted == NONE:
        return NONE
    for way in WAYS if wanted == AUTO else (wanted,):
        if _enforced(client, way):
            return way
    if wanted == AUTO:
        return NONE
    said = f"{client.address} does not hold answers to a schema by `structured: {wanted}`"
    raise client.ended(EndpointError(f"{said}: take auto, none or another of {', '.join(WAYS)}"))


def _enforced(client: ChatClient, way: str) -> bool:
    schema = object_schema({"answer": {"type": "string", "enum": [ODD]}})
    reply, completion = client.ask(_PROBE, fields_of(way, "probe", schema))
    if completion is not None:
        return _says(completion)
    if reply.status in _UNKNOWN_FIELD:
        return False
    raise client.error(reply)


def _says(completion: Completion) -> bool:
    try:
        return json_of(completion.text or "") == {"answer": ODD}
    except ValueError:
        return False
