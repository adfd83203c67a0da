"""Requests that several clients send alike, so that a difference between them is the client's or ours."""

ASK = [{"role": "user", "content": "Name three colours."}]
WEATHER_ASK = [{"role": "user", "content": "What is the weather in Hangzhou? Use celsius."}]

WEATHER_PARAMETERS = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "Name of the city"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
    },
    "required": ["city", "unit"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The present weather of a city",
        "parameters": WEATHER_PARAMETERS,
    },
}
# No arguments at all: the template and the grammar must bear an empty schema.
CLOCK = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "The present time",
        "parameters": {"type": "object", "properties": {}},
    },
}
NAMED = {"type": "function", "function": {"name": "get_weather"}}

CITY_SCHEMA = {
    "name": "city",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 24},
            "population": {"type": "integer", "minimum": 0, "maximum": 40000000},
            "coastal": {"type": "boolean"},
            "climate": {"type": "string", "enum": ["dry", "mild", "wet"]},
        },
        "required": ["name", "population", "coastal", "climate"],
        "additionalProperties": False,
    },
}


def check_weather(arguments):
    """Arguments of `get_weather` that a grammar forced: both fields, and nothing else."""
    assert set(arguments) == {"city", "unit"}, f"fields of the arguments: {arguments!r}"
    assert isinstance(arguments["city"], str), f"city: {arguments['city']!r}"
    assert arguments["unit"] in ("celsius", "fahrenheit"), f"unit: {arguments['unit']!r}"


def check_city(city):
    assert set(city) == {"name", "population", "coastal", "climate"}, f"fields of the city: {city!r}"
    assert isinstance(city["name"], str), f"name: {city!r}"
    assert type(city["population"]) is int, f"population: {city!r}"
    assert type(city["coastal"]) is bool, f"coastal: {city!r}"
    assert city["climate"] in ("dry", "mild", "wet"), f"climate: {city!r}"


#: More tokens than any context of the models that the suite runs.
TOO_LONG = "tide " * 40_000
