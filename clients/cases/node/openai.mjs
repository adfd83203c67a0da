// openai for Node.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { CHAT, COMPAT, EMBED, KEY, WRONG_KEY, cosine, rejects, runAll, test, unit } from './harness.mjs';
import { ASK, NAMED, TOO_LONG, WEATHER, WEATHER_QUESTION, checkWeather } from './shared.mjs';

const client = new OpenAI({ baseURL: COMPAT, apiKey: KEY });
const chat = client.chat.completions;
const ask = (more = {}, options) => chat.create({ model: CHAT, messages: ASK, max_tokens: 24, temperature: 0, ...more }, options);
const text = (answer) => answer.choices[0].message.content;
const weatherAsk = [{ role: 'user', content: WEATHER_QUESTION }];

test(async function a_stream_and_a_plain_answer_are_one_text_and_one_usage() {
  const plain = await ask();
  assert.ok(text(plain));
  let streamed = '';
  let usage;
  const ends = [];
  for await (const chunk of await ask({ stream: true, stream_options: { include_usage: true } })) {
    streamed += chunk.choices[0]?.delta.content ?? '';
    if (chunk.choices[0]?.finish_reason) ends.push(chunk.choices[0].finish_reason);
    if (chunk.usage) {
      assert.deepEqual(chunk.choices, []);
      usage = chunk.usage;
    }
  }
  assert.equal(streamed, text(plain));
  assert.equal(usage.completion_tokens, plain.usage.completion_tokens);
  assert.equal(usage.prompt_tokens, plain.usage.prompt_tokens);
  assert.deepEqual(ends, [plain.choices[0].finish_reason]);
});

test(async function the_stream_helper_gathers_the_answer() {
  const stream = chat.stream({ model: CHAT, messages: ASK, max_tokens: 24, temperature: 0 });
  let pieces = '';
  stream.on('content', (delta) => (pieces += delta));
  const final = await stream.finalContent();
  assert.equal(final, pieces);
  assert.equal(final, text(await ask()));
});

test(async function a_request_id_is_in_the_header_and_on_the_answer() {
  const { data, response, request_id } = await ask({ max_tokens: 4 }).withResponse();
  assert.ok(request_id);
  assert.equal(response.headers.get('x-request-id'), request_id);
  assert.equal(data._request_id, request_id);
});

test(async function connections_are_kept_and_used_again() {
  // "Connection error" here is what users see when a server closes a connection just as it is used again.
  const hasty = new OpenAI({ baseURL: COMPAT, apiKey: KEY, maxRetries: 0 });
  for (let i = 0; i < 30; i++) await hasty.models.list();
  const many = Array.from({ length: 8 }, () => hasty.chat.completions.create({ model: CHAT, messages: ASK, max_tokens: 2, temperature: 0 }));
  const texts = new Set((await Promise.all(many)).map(text));
  assert.equal(texts.size, 1);
});

test(async function a_stream_that_is_left_can_be_followed_by_another() {
  const stream = await ask({ stream: true, max_tokens: 400 });
  for await (const _ of stream) break;
  const controller = new AbortController();
  const aborted = ask({ max_tokens: 900, messages: [{ role: 'user', content: 'Write an essay.' }] }, { signal: controller.signal });
  setTimeout(() => controller.abort(), 100);
  await rejects(OpenAI.APIUserAbortError, () => aborted);
  assert.ok(text(await ask()));
});

test(async function a_named_tool_is_called_plain_and_streamed() {
  const more = { messages: weatherAsk, tools: [WEATHER], tool_choice: NAMED, max_tokens: 160 };
  const plain = await ask(more);
  const [call] = plain.choices[0].message.tool_calls;
  checkWeather(JSON.parse(call.function.arguments));
  assert.equal(plain.choices[0].finish_reason, 'tool_calls');
  const final = await chat.stream({ model: CHAT, temperature: 0, ...more }).finalChatCompletion();
  const [streamed] = final.choices[0].message.tool_calls;
  assert.equal(streamed.function.arguments, call.function.arguments);
  assert.equal(streamed.function.name, 'get_weather');
  assert.ok(streamed.id);
});

test(async function required_is_taken() {
  const answer = await ask({ tools: [WEATHER], tool_choice: 'required', max_tokens: 160 });
  checkWeather(JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments));
});

test(async function run_tools_runs_a_tool_and_ends() {
  let ran = 0;
  const tool = zodFunction({
    name: 'get_weather',
    description: 'The present weather of a city',
    parameters: z.object({ city: z.string() }),
    function: ({ city }) => {
      ran += 1;
      return `21 degrees in ${city}`;
    },
  });
  for (const stream of [false, true]) {
    const runner = chat.runTools({ model: CHAT, messages: weatherAsk, tools: [tool], tool_choice: NAMED, stream, temperature: 0, max_tokens: 160 });
    await runner.done(); // a forced tool ends after its first call
    assert.ok(runner.messages.some((m) => m.role === 'tool' && m.content.includes('21 degrees')), JSON.stringify(runner.messages));
  }
  assert.equal(ran, 2);
});

const Place = z.object({
  name: z.string().max(24),
  population: z.number().int().min(0).max(40_000_000),
  climate: z.enum(['dry', 'mild', 'wet']),
  rivers: z.array(z.string().max(16)).max(2),
});

test(async function parse_gives_a_zod_object() {
  const messages = [{ role: 'user', content: 'Describe Hangzhou.' }];
  const response_format = zodResponseFormat(Place, 'place');
  const answer = await chat.parse({ model: CHAT, messages, response_format, max_tokens: 220, temperature: 0 });
  Place.parse(answer.choices[0].message.parsed);
  const stream = chat.stream({ model: CHAT, messages, response_format, max_tokens: 220, temperature: 0 });
  const final = await stream.finalChatCompletion();
  assert.deepEqual(final.choices[0].message.parsed, answer.choices[0].message.parsed);
});

test(async function embeddings_are_decoded_from_base64() {
  const answer = await client.embeddings.create({ model: EMBED, input: ['ebb', 'flow'], dimensions: 512 });
  answer.data.forEach((row) => unit(row.embedding, 512));
  const floats = await client.embeddings.create({ model: EMBED, input: 'flow', dimensions: 512, encoding_format: 'float' });
  assert.ok(cosine(floats.data[0].embedding, answer.data[1].embedding) > 0.999);
});

test(async function models_are_listed_and_found() {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes(CHAT), names.join());
  assert.equal((await client.models.retrieve(CHAT)).id, CHAT);
});

test(async function a_completion_goes_on_with_the_text() {
  const answer = await client.completions.create({ model: CHAT, prompt: 'def add(a, b):\n    return', max_tokens: 8, temperature: 0 });
  assert.ok(answer.choices[0].text.includes('a + b'), answer.choices[0].text);
});

test(async function mistakes_are_typed_and_asked_once() {
  let calls = 0;
  const counted = new OpenAI({
    baseURL: COMPAT,
    apiKey: KEY,
    fetch: (...args) => {
      calls += 1;
      return fetch(...args);
    },
  });
  const one = async (kind, status, code, body, options) => {
    calls = 0;
    const error = await rejects(kind, () => counted.chat.completions.create({ model: CHAT, messages: ASK, ...body }, options), { status, code });
    assert.equal(calls, 1, 'calls');
    assert.ok(error.requestID, 'no request id');
    assert.equal(error.param, null);
    return error;
  };
  await one(OpenAI.NotFoundError, 404, 'model_not_found', { model: 'qwen-nonesuch' });
  await one(OpenAI.BadRequestError, 400, 'invalid_parameter_error', { temperature: 7 });
  await one(OpenAI.BadRequestError, 400, 'invalid_parameter_error', { temperature: 7, stream: true });
  await one(OpenAI.BadRequestError, 400, 'invalid_parameter_error', { messages: [{ role: 'user', content: TOO_LONG }] });
  const wrong = new OpenAI({ baseURL: COMPAT, apiKey: WRONG_KEY });
  await rejects(OpenAI.AuthenticationError, () => wrong.models.list(), { status: 401, code: 'invalid_api_key' });
});

await runAll();
