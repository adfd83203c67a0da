"""Hooks for schemathesis: what a schema cannot say of a good request, and short answers.

Nothing here makes a wrong request right: a value is only replaced where it is right already.
"""

import uuid

import schemathesis
from harness import CHAT, EMBED, MEDIA, RERANK

TOKENS_MAX = 2
MODELS = {"embed": EMBED, "rank": RERANK, "multimodal": MEDIA}


def model_for(path):
    """The name that answers at this address."""
    words = [name for word, name in MODELS.items() if word in path]
    return words[0] if words else CHAT


def is_count(value):
    """Whole numbers may be written as 3e9, too."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value is None or (number and value >= 1 and value == int(value))


def shorten(fields):
    """Answers of a token or two: the model is real, and the machine small."""
    for name in ("max_tokens", "max_completion_tokens"):
        if is_count(fields.get(name)):
            fields[name] = TOKENS_MAX


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    positive = case.meta is not None and case.meta.generation.mode.is_positive
    if isinstance(body, dict):
        if isinstance(body.get("model"), str) and body["model"]:
            body["model"] = model_for(case.path)
        native = case.path.startswith("/api/")
        fields = body.setdefault("parameters", {}) if native else body
        if isinstance(fields, dict) and "embed" not in case.path and "rank" not in case.path:
            shorten(fields)
        if positive:
            sensible(case.path, body, fields or {})
    if positive and case.path.endswith("/models/{id}"):
        case.path_parameters["id"] = CHAT
    if positive and case.query and case.path.endswith("/tokens"):
        # What is given away is written in a form of its own.
        for name, good in (("models", "qwen-plus,qwen3-*"), ("networks", "10.0.0.0/8")):
            if name in case.query:
                case.query[name] = good
    if positive and case.headers:
        # Which earlier answer is meant is nothing that can be made up.
        case.headers.pop("Last-Event-ID", None)
        if "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = uuid.uuid4().hex


#: Asked for as the contract has it, and refused by models of text.
UNSERVED = [
    "enable_search", "search_options", "enable_code_interpreter", "enable_text_image_mixed", "vl_high_resolution_images",
    "vl_enable_image_hw_output", "translation_options", "modalities", "audio", "skill", "clear_thinking",
    "preserve_thinking", "enable_thinking", "thinking_budget", "reasoning_effort",
]


def sensible(path, body, fields):
    """Takes out of a good request what rules about several fields, or about the model, would refuse."""
    for name in UNSERVED:
        fields.pop(name, None)
    fields.pop("extra_body", None)
    holder = body.get("input") if path.startswith("/api/") else body
    if isinstance(holder, dict) and isinstance(holder.get("messages"), list):
        holder["messages"] = conversation(holder["messages"])
    if isinstance(holder, dict) and isinstance(holder.get("history"), list):
        holder["history"] = [turn for turn in holder["history"] if "role" not in turn]
    tools = fields.get("tools")
    if isinstance(tools, list):
        named = {}
        for tool in tools:
            named.setdefault(tool["function"]["name"], tool)
            # What a schema of arguments may be is a matter of its own; the other cases look at it.
            tool["function"].pop("parameters", None)
        fields["tools"] = list(named.values())
        if named:
            fields["n"] = 1
    if "multimodal" in path:
        # A name that may reason has a default of its own.
        fields.pop("incremental_output", None)
        fields.pop("result_format", None)
    choice = fields.get("tool_choice")
    if isinstance(choice, dict) or choice in ("required", "any"):
        fields.pop("tool_choice")
    if isinstance(fields.get("response_format"), dict):
        schema = fields["response_format"].get("json_schema")
        if isinstance(schema, dict):
            schema.pop("schema", None)
        said = {"role": "user", "content": "Answer in JSON."}
        if isinstance(holder, dict) and isinstance(holder.get("messages"), list):
            holder["messages"].append(said)
        elif fields["response_format"].get("type") == "json_object":
            fields.pop("response_format")
    if fields.get("top_logprobs"):
        fields["logprobs"] = True
    if isinstance(fields.get("logit_bias"), dict):
        fields["logit_bias"] = {str(int(token) % 1000): bias for token, bias in fields["logit_bias"].items()}
    if "stop" in fields:
        fields["stop"] = tokens(fields["stop"])
    if "embed" in path:
        for holder in (body, fields):
            # The names of the cloud have lengths of their own.
            if holder.get("dimensions") or holder.get("dimension"):
                holder.update({name: 256 for name in ("dimensions", "dimension") if name in holder})
    if path.endswith("/completions") and "chat" not in path:
        fields.pop("suffix", None)
        fields.pop("best_of", None)
        body["prompt"] = tokens(body.get("prompt"))
    if "embed" in path and "input" in body and not path.startswith("/api/"):
        body["input"] = tokens(body["input"])
    if "embed" in path and path.startswith("/api/") and isinstance(body["input"].get("texts"), list):
        # A name of the cloud takes ten at most.
        body["input"]["texts"] = body["input"]["texts"][:4]


def tokens(value):
    """The same with token ids of any model's vocabulary."""
    if isinstance(value, list):
        return [tokens(one) for one in value[:4]]
    return value % 1000 if isinstance(value, (int, float)) else value


def conversation(messages):
    """The same messages, as far as they are text, in an order that is one."""
    kept = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            content = [part for part in content if isinstance(part.get("text"), str) and media(part) == 0]
        if message["role"] in ("system", "developer", "user") and content is not None:
            kept.append({**message, "content": content})
        elif message["role"] == "assistant" and isinstance(content, (str, list)):
            kept.append({key: value for key, value in message.items() if key not in ("tool_calls", "partial")})
            kept[-1]["content"] = content
    return kept + [{"role": "user", "content": "Say hello."}]


def media(part):
    """How much of a part is not text."""
    return sum(name in part for name in ("image", "video", "audio", "file")) + (part.get("type", "text") != "text")
