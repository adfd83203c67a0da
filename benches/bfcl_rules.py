"""When a call is right, by the rules of the Berkeley Function Calling Leaderboard (BFCL) for Python.

An answer of the set lists for every parameter the values that are right; the empty string among them
says that the parameter may be left out. Types are those of the declaration, written in BFCL's own
words (`dict`, `float`, `tuple`). `python3 benches/bfcl_rules.py` tests these rules.
"""

import re

TYPES = {"string": str, "integer": int, "float": float, "boolean": bool, "array": list, "tuple": list, "dict": dict,
         "any": str}
SCHEMA_TYPES = {"dict": "object", "float": "number", "tuple": "array", "list": "array", "bool": "boolean",
                "any": "string"}


def name_of(function):
    """The name as the OpenAI dialect takes it, which knows no dots."""
    return function["name"].replace(".", "_")


def tool(function):
    """The declaration of a function in the OpenAI dialect."""
    declared = {"name": name_of(function), "description": function["description"],
                "parameters": schema(function["parameters"])}
    return {"type": "function", "function": declared}


def schema(written):
    """JSON schema of what is written in BFCL's own words."""
    made = dict(written)
    if "type" in made:
        made["type"] = SCHEMA_TYPES.get(made["type"], made["type"])
    if "properties" in made:
        made["properties"] = {name: schema(inner) for name, inner in made["properties"].items()}
    if "items" in made:
        made["items"] = schema(made["items"])
    return made


def wrong(functions, answer, calls):
    """Why the calls, pairs of a name and its arguments, are not the one wanted; None if they are."""
    if len(calls) != 1:
        return f"{len(calls)} calls"
    (wanted, allowed), = answer.items()
    function = next(function for function in functions if function["name"] == wanted)
    name, arguments = calls[0]
    if name != name_of(function):
        return f"`{name}` instead of `{name_of(function)}`"
    parameters = function["parameters"]
    missing = [key for key in parameters["required"] if key not in arguments]
    missing += [key for key, values in allowed.items() if key not in arguments and "" not in values]
    if missing:
        return f"no `{missing[0]}`"
    for key, value in arguments.items():
        if key not in parameters["properties"] or key not in allowed:
            return f"`{key}` is too much"
        if not fits(parameters["properties"][key], value, allowed[key]):
            return f"`{key}` is {value!r}, not one of {allowed[key]!r}"
    return None


def fits(declared, value, allowed):
    """Whether the value has its type and is one of those allowed."""
    kind = TYPES[declared["type"]]
    inner = TYPES[declared["items"]["type"]] if declared["type"] in ("array", "tuple") else None
    if declared["type"] == "float" and type(value) is int:
        value = float(value)
    usual = usual_type(allowed)
    if type(value) is kind:
        if not typed_inside(inner, value, allowed):
            return False
        by_kind = usual in (kind, None)
    elif type(value) is usual:
        # The answers are of another type than what was declared.
        by_kind = False
    else:
        return False
    if by_kind and kind is dict:
        return any(same_dict(value, one) for one in allowed if one != "")
    if by_kind and inner is dict:
        return any(same_dicts(value, one) for one in allowed)
    if by_kind and kind is str:
        return plain(value) in [plain(one) for one in allowed if type(one) is str]
    if by_kind and kind is list:
        return plain(value) in [plain(list(one)) for one in allowed]
    return value in allowed


def usual_type(allowed):
    return next((type(one) for one in allowed if one != ""), None)


def typed_inside(inner, value, allowed):
    """Whether the elements of a list are of the declared type, or of that of some answer's."""
    if inner is None:
        return True
    lists = [one for one in allowed if type(one) is list]
    return len(lists) < len(allowed) or any(
        all(type(element) in (inner, usual_type(one)) for element in value) for one in lists)


def same_dict(value, allowed):
    return (all(key in allowed and plain(one) in [plain(other) for other in allowed[key]]
                for key, one in value.items())
            and all(key in value or "" in values for key, values in allowed.items()))


def same_dicts(values, allowed):
    # The same number of dictionaries in the same order.
    return len(values) == len(allowed) and all(
        other != "" and same_dict(one, other) for one, other in zip(values, allowed))


def plain(value):
    """A string, or the strings of a list, without what does not matter in it: case, blanks, `,./-_*^`."""
    if type(value) is list:
        return [plain(one) if type(one) is str else one for one in value]
    return re.sub(r"[ ,./\-_*^]", "", value).lower().replace("'", '"') if type(value) is str else value


def test():
    """A table: what is declared, what is allowed, which values are right and which are wrong."""
    text, whole, number = {"type": "string"}, {"type": "integer"}, {"type": "float"}
    texts, numbers = {"type": "array", "items": text}, {"type": "array", "items": number}
    record = {"type": "dict", "properties": {}}
    records = {"type": "array", "items": record}
    table = [
        (text, ["New York, NY"], ["new york NY", "New-York NY"], ["Boston", 3, None]),
        (text, ["a", ""], ["A", ""], ["b"]),
        (whole, [5], [5], [5.0, "5", True, 6]),
        (number, [5], [5, 5.0], ["5", 5.5]),
        ({"type": "boolean"}, [True], [True], [False, 1, "true"]),
        ({"type": "any"}, [5], [5], ["5"]),
        (texts, [["a b", "c"]], [["AB", "C"]], [["c", "a b"], ["a b"], "a b", [1, 2]]),
        (texts, [["a"], ""], [["a"], []], [["b"]]),
        (numbers, [[1.5, 2.0]], [[1.5, 2.0]], [[1.5, 2], [2.0, 1.5]]),
        ({"type": "tuple", "items": whole}, [[1, 2]], [[1, 2]], [[1], [1.0, 2.0]]),
        (record, [{"a": ["x"], "b": [1, ""]}], [{"a": "X", "b": 1}, {"a": "x"}],
         [{"b": 1}, {"a": "x", "c": 1}, {"a": "y"}]),
        (records, [[{"a": [1]}, {"a": [2]}]], [[{"a": 1}, {"a": 2}]], [[{"a": 2}, {"a": 1}], [{"a": 1}]]),
    ]
    for declared, allowed, right, not_right in table:
        for value in right:
            assert fits(declared, value, allowed), (declared, allowed, value)
        for value in not_right:
            assert not fits(declared, value, allowed), (declared, allowed, value)

    function = {"name": "a.b", "description": "", "parameters": {
        "type": "dict", "properties": {"x": whole, "y": text, "z": text}, "required": ["x"]}}
    answer = {"a.b": {"x": [1], "y": ["u", ""], "z": ["v"]}}
    good = {"x": 1, "z": "v"}
    assert wrong([function], answer, [("a_b", good)]) is None
    for calls in [], [("a_b", good)] * 2, [("a.b", good)], [("a_b", {"x": 1})], [("a_b", {"z": "v"})], [
            ("a_b", {**good, "w": 1})], [("a_b", {**good, "y": "v"})]:
        assert wrong([function], answer, calls), calls
    assert tool(function)["function"]["parameters"]["type"] == "object"
    assert schema(numbers) == {"type": "array", "items": {"type": "number"}}


if __name__ == "__main__":
    test()
    print("the rules hold")
