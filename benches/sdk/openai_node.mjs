// The caller of `benches/sdk.sh` with openai-node; `client/examples/overhead.rs` says what the modes are.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import OpenAI from 'openai';

const [mode, url, number] = process.argv.slice(2);
const count = Number(number);
const messages = [{ role: 'user', content: 'Why is the sky blue?' }];
const client = new OpenAI({ baseURL: url, apiKey: 'sk-bench' });

const cpuUs = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
const rssKib = () => Number(readFileSync('/proc/self/status', 'utf8').match(/VmRSS:\s+(\d+)/)[1]);
const stream = (model) => client.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } });

async function calls(times) {
  for (let i = 0; i < times; i++) {
    const reply = await client.chat.completions.create({ model: 'whole', messages });
    assert.ok(reply.choices[0].message.content.length >= 100);
  }
}

async function streams(times) {
  let events = 0;
  const first = [];
  for (let i = 0; i < times; i++) {
    const began = performance.now();
    let text = '';
    let whole = false;
    let seen = false;
    for await (const chunk of await stream('stream')) {
      if (!seen) first.push((performance.now() - began) * 1e3);
      seen = true;
      events += 1;
      for (const choice of chunk.choices) {
        text += choice.delta.content ?? '';
        whole ||= choice.finish_reason != null;
      }
    }
    assert.ok(whole && text.length >= 4000);
  }
  return { events, first };
}

if (mode === 'call') {
  await calls(Math.floor(count / 10));
  const began = cpuUs();
  await calls(count);
  console.log(JSON.stringify({ cpu_us: (cpuUs() - began) / count }));
} else if (mode === 'stream') {
  await streams(Math.floor(count / 10) + 1);
  const began = cpuUs();
  const { events, first } = await streams(count);
  first.sort((a, b) => a - b);
  console.log(JSON.stringify({ cpu_us: (cpuUs() - began) / events, first_us: first[Math.floor(first.length / 2)] }));
} else {
  await calls(1);
  const before = rssKib();
  const held = await Promise.all(Array.from({ length: count }, async () => {
    const chunks = (await stream('hold'))[Symbol.asyncIterator]();
    await chunks.next();
    return chunks;
  }));
  const rss = rssKib();
  console.log(JSON.stringify({ rss_kib: rss, stream_kib: (rss - before) / held.length }));
}
process.exit(0);
