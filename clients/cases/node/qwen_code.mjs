// Qwen Code, the coding agent, without a terminal. Its own prompt and tools are about 16,000 tokens, so each
// first turn is a long prefill; the later ones find it in the cache.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHAT, CLOUD, KEY, WRONG_KEY, runAll, test } from './harness.mjs';

const script = join(import.meta.dirname, '..', 'node_modules', '@qwen-code', 'qwen-code', 'cli.js');
const project = join(process.env.HOME, 'project');
mkdirSync(project, { recursive: true });
writeFileSync(join(project, 'notes.txt'), 'The tide turns at noon.\n');

function qwen(words, more = {}) {
  const env = {
    ...process.env,
    OPENAI_BASE_URL: CLOUD,
    OPENAI_API_KEY: KEY,
    OPENAI_MODEL: CHAT,
    QWEN_CODE_MAX_OUTPUT_TOKENS: '48',
    QWEN_TELEMETRY_ENABLED: 'false',
    NO_COLOR: '1',
    ...more,
  };
  const fixed = ['--auth-type', 'openai', '--max-session-turns', '2'];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...fixed, ...words], { cwd: project, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (err += data));
    const timer = setTimeout(() => child.kill('SIGKILL'), 1_500_000);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, out, err });
    });
  });
}

test(async function a_question_is_answered_on_stdout() {
  const done = await qwen(['-p', 'Say hello. Use no tool.']);
  assert.ok([0, 53].includes(done.code), `${done.code}: ${done.err.slice(-400)}`); // 53: it wanted more turns
  assert.ok(done.out.trim() || done.code === 53, `nothing on stdout: ${done.err.slice(-400)}`);
});

test(async function events_carry_usage_and_the_prefix_is_found_again() {
  const done = await qwen(['-o', 'json', '-p', 'Say hello. Use no tool.']);
  const events = JSON.parse(done.out);
  const result = events.find((event) => event.type === 'result');
  assert.ok(result, done.out.slice(-600));
  assert.ok(result.usage.input_tokens > 8000, JSON.stringify(result.usage));
  assert.ok(result.usage.output_tokens > 0, JSON.stringify(result.usage));
  assert.ok(result.usage.cache_read_input_tokens > 4000, `the second run read nothing from the cache: ${JSON.stringify(result.usage)}`);
});

test(async function a_wrong_key_is_said() {
  const done = await qwen(['-p', 'hi'], { OPENAI_API_KEY: WRONG_KEY });
  assert.ok(done.code !== 0 || /401|API key/i.test(done.out + done.err), `${done.code} ${done.out.slice(-200)}`);
  assert.ok(/401|API key/i.test(done.out + done.err), (done.out + done.err).slice(-400));
});

await runAll();
