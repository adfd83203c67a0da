// Vercel AI SDK with the three providers that people use for Qwen.
import assert from 'node:assert/strict';
import { createAlibaba } from '@ai-sdk/alibaba';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, Output, embed, embedMany, generateObject, generateText, rerank, stepCountIs, streamObject, streamText, tool } from 'ai';
import { createQwen } from 'qwen-ai-provider-v5';
import { z } from 'zod';
import { CHAT, CLOUD, COMPAT, EMBED, KEY, NATIVE, RERANK, WRONG_KEY, cosine, rejects, runAll, test, unit } from './harness.mjs';
import { QUESTION, TOO_LONG, WEATHER_QUESTION, checkWeather } from './shared.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;

const providers = (apiKey = KEY) => ({
  // Without these two the provider asks for no usage in streams and writes schemas into the prompt.
  compatible: createOpenAICompatible({ name: 'qwenda', baseURL: COMPAT, apiKey, includeUsage: true, supportsStructuredOutputs: true }),
  alibaba: createAlibaba({ baseURL: COMPAT, embeddingBaseURL: NATIVE, apiKey }),
  qwen: createQwen({ baseURL: COMPAT, apiKey }),
});
const all = Object.entries(providers());
const common = { temperature: 0, maxOutputTokens: 24, maxRetries: 0 };

const weather = (execute) =>
  tool({
    description: 'The present weather of a city',
    inputSchema: z.object({ city: z.string(), unit: z.enum(['celsius', 'fahrenheit']) }),
    execute,
  });
const place = z.object({
  name: z.string().max(24),
  population: z.number().int().max(40_000_000),
  climate: z.enum(['dry', 'mild', 'wet']),
});

test(async function all_providers_answer_and_stream_alike() {
  const texts = new Set();
  for (const [name, provider] of all) {
    const plain = await generateText({ model: provider(CHAT), prompt: QUESTION, ...common });
    assert.ok(plain.text, name);
    assert.ok(['stop', 'length'].includes(plain.finishReason), `${name}: ${plain.finishReason}`);
    assert.equal(plain.usage.inputTokens + plain.usage.outputTokens, plain.usage.totalTokens, name);
    const stream = streamText({ model: provider(CHAT), prompt: QUESTION, ...common });
    let streamed = '';
    for await (const piece of stream.textStream) streamed += piece;
    assert.equal(streamed, plain.text, name);
    assert.equal(await stream.finishReason, plain.finishReason, name);
    const usage = await stream.usage;
    // qwen-ai-provider-v5 asks for no usage in streams.
    if (name !== 'qwen') assert.equal(usage.outputTokens, plain.usage.outputTokens, name);
    texts.add(plain.text);
  }
  assert.equal(texts.size, 1, [...texts].join(' | '));
});

test(async function system_texts_and_parts_are_taken() {
  for (const [name, provider] of all) {
    const messages = [
      { role: 'user', content: [{ type: 'text', text: 'Hello. ' }, { type: 'text', text: 'I am Ana.' }] },
      { role: 'assistant', content: [{ type: 'text', text: 'Hi Ana.' }] },
      { role: 'user', content: 'Say a number.' },
    ];
    const answer = await generateText({ model: provider(CHAT), system: 'Be terse.', messages, ...common, stopSequences: ['zzz'], seed: 4 });
    assert.ok(answer.text, name);
  }
});

test(async function a_named_and_a_required_tool_are_called() {
  for (const [name, provider] of all) {
    for (const toolChoice of ['required', { type: 'tool', toolName: 'get_weather' }]) {
      const more = { model: provider(CHAT), prompt: WEATHER_QUESTION, ...common, maxOutputTokens: 160, tools: { get_weather: weather() }, toolChoice };
      const plain = await generateText(more);
      assert.equal(plain.toolCalls.length, 1, `${name}: ${JSON.stringify(toolChoice)}`);
      checkWeather(plain.toolCalls[0].input);
      assert.equal(plain.finishReason, 'tool-calls', name);
      const stream = streamText(more);
      const [call] = await stream.toolCalls;
      assert.deepEqual(call.input, plain.toolCalls[0].input, name);
      assert.equal(await stream.finishReason, 'tool-calls', name);
    }
  }
});

test(async function tools_run_over_several_steps() {
  for (const [name, provider] of all) {
    let ran = 0;
    const answer = await generateText({
      model: provider(CHAT),
      prompt: WEATHER_QUESTION,
      ...common,
      maxOutputTokens: 120,
      tools: { get_weather: weather(async ({ city }) => ((ran += 1), { city, degrees: 21 })) },
      stopWhen: stepCountIs(3),
      prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'none' }),
    });
    assert.equal(ran, 1, name);
    assert.equal(answer.steps.length, 2, name);
    assert.ok(answer.text, name);
  }
});

test(async function objects_follow_their_schema() {
  for (const [name, provider] of all.slice(0, 2)) {
    const more = { model: provider(CHAT), schema: place, prompt: 'Describe Hangzhou as json.', ...common, maxOutputTokens: 160 };
    const { object } = await generateObject(more);
    place.parse(object);
    const stream = streamObject(more);
    for await (const _ of stream.partialObjectStream);
    assert.deepEqual(await stream.object, object, name);
    const { output } = await generateText({ model: provider(CHAT), prompt: 'Describe Hangzhou as json.', output: Output.object({ schema: place }), ...common, maxOutputTokens: 160 });
    assert.deepEqual(output, object, name);
  }
});

test(async function embeddings_come_in_order() {
  const [compatible, alibaba, qwen] = all.map(([, provider]) => provider);
  const values = ['ebb', 'flow', 'tide'];
  const models = [
    compatible.embeddingModel(EMBED),
    alibaba.embeddingModel(EMBED), // on the native path
    qwen.embeddingModel(EMBED),
  ];
  const found = [];
  for (const model of models) {
    const many = await embedMany({ model, values, maxRetries: 0 });
    assert.equal(many.embeddings.length, 3);
    unit(many.embeddings[2]);
    const one = await embed({ model, value: 'tide', maxRetries: 0 });
    assert.ok(cosine(one.embedding, many.embeddings[2]) > 0.999);
    assert.ok(one.usage.tokens > 0);
    found.push(many.embeddings[2]);
  }
  assert.ok(cosine(found[0], found[1]) > 0.999, 'compatible and native');
  const short = await embed({ model: models[1], value: 'tide', providerOptions: { alibaba: { dimension: 256, textType: 'query' } } });
  unit(short.embedding, 256);
});

test(async function documents_are_ranked_on_both_paths() {
  // The provider finds the address of the rank model from the cloud's own.
  const qwen = createQwen({ baseURL: CLOUD, apiKey: KEY });
  const documents = ['Bridges are long.', 'Cats eat fish.', 'Rates rose.'];
  for (const name of [RERANK, 'gte-rerank-v2']) {
    const { ranking } = await rerank({ model: qwen.rerankingModel(name), query: 'What do cats eat?', documents, topN: 2, maxRetries: 0 });
    assert.equal(ranking.length, 2, name);
    assert.equal(ranking[0].document, 'Cats eat fish.', name);
  }
});

test(async function mistakes_are_call_errors() {
  for (const [name, provider] of Object.entries(providers(WRONG_KEY))) {
    const error = await rejects(APICallError, () => generateText({ model: provider(CHAT), prompt: 'hi', ...common }), { statusCode: 401, isRetryable: false });
    // qwen-ai-provider-v5 reads another shape of errors and shows the status line instead.
    if (name !== 'qwen') assert.ok(error.message.includes('API key'), `${name}: ${error.message}`);
  }
  for (const [, provider] of all) {
    await rejects(APICallError, () => generateText({ model: provider('qwen-nonesuch'), prompt: 'hi', ...common }), { statusCode: 404 });
    await rejects(APICallError, () => generateText({ model: provider(CHAT), prompt: TOO_LONG, ...common }), { statusCode: 400, isRetryable: false });
  }
});

await runAll();
