"""The caller of `benches/sdk.sh` with openai-python; `client/examples/overhead.rs` says what the modes are."""

import asyncio
import json
import os
import resource
import statistics
import sys
import time

from openai import AsyncOpenAI, OpenAI

MESSAGES = [{"role": "user", "content": "Why is the sky blue?"}]


def cpu_us():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1e6


def rss_kib():
    with open("/proc/self/status") as status:
        return float(next(line for line in status if line.startswith("VmRSS:")).split()[1])


def calls(client, count):
    for _ in range(count):
        reply = client.chat.completions.create(model="whole", messages=MESSAGES)
        assert len(reply.choices[0].message.content) >= 100


def streams(client, count):
    events, first = 0, []
    for _ in range(count):
        began, text, whole, seen = time.perf_counter(), [], False, False
        chunks = client.chat.completions.create(
            model="stream", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        for chunk in chunks:
            if not seen:
                seen = True
                first.append((time.perf_counter() - began) * 1e6)
            events += 1
            for choice in chunk.choices:
                text.append(choice.delta.content or "")
                whole = whole or choice.finish_reason is not None
        assert whole and len("".join(text)) >= 4000
    return events, first


async def hold(client):
    chunks = await client.chat.completions.create(
        model="hold", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    await anext(aiter(chunks))
    return chunks


async def held(url, count):
    client = AsyncOpenAI(base_url=url, api_key="sk-bench")
    await client.chat.completions.create(model="whole", messages=MESSAGES)
    before = rss_kib()
    streams = await asyncio.gather(*(hold(client) for _ in range(count)))
    rss = rss_kib()
    print(json.dumps({"rss_kib": rss, "stream_kib": (rss - before) / len(streams)}), flush=True)
    # A thousand open streams are not worth being closed one by one.
    os._exit(0)


def main():
    mode, url, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    client = OpenAI(base_url=url, api_key="sk-bench")
    if mode == "call":
        calls(client, count // 10)
        began = cpu_us()
        calls(client, count)
        print(json.dumps({"cpu_us": (cpu_us() - began) / count}))
    elif mode == "stream":
        streams(client, count // 10 + 1)
        began = cpu_us()
        events, first = streams(client, count)
        print(json.dumps({"cpu_us": (cpu_us() - began) / events, "first_us": statistics.median(first)}))
    else:
        asyncio.run(held(url, count))


main()
