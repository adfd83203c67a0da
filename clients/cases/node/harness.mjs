// What every file of Node cases shares: the service's address, the `test` mark, and the run itself.
// A case is a function named as a fact; it fails by throwing.
import assert from 'node:assert/strict';

const env = process.env;
export const URL = env.QWENDA_CLIENTS_URL;
export const KEY = env.QWENDA_CLIENTS_KEY;
export const CHAT = env.QWENDA_CLIENTS_CHAT;
export const EMBED = env.QWENDA_CLIENTS_EMBED;
export const RERANK = env.QWENDA_CLIENTS_RERANK;
// What programs for OpenAI are given, and what those for the cloud are.
export const COMPAT = `${URL}/v1`;
export const CLOUD = `${URL}/compatible-mode/v1`;
export const NATIVE = `${URL}/api/v1`;
export const WRONG_KEY = 'sk-0000000000000000000000000000dead';

const CASE_SECONDS_MAX = 1520;
const cases = [];

export function test(fact) {
  cases.push(fact);
}

/** Runs `call`, which must throw a `kind`, and looks at properties of the error. */
export async function rejects(kind, call, want = {}) {
  let got;
  try {
    got = await call();
  } catch (error) {
    if (!(kind instanceof Function ? error instanceof kind || kind.isInstance?.(error) : error.name === kind)) throw error;
    for (const [name, value] of Object.entries(want)) assert.equal(error[name], value, name);
    return error;
  }
  throw new Error(`nothing was thrown, but the answer was ${JSON.stringify(got)?.slice(0, 300)}`);
}

/** An embedding: so many numbers, of length one. */
export function unit(vector, dimensions) {
  if (dimensions) assert.equal(vector.length, dimensions, 'dimensions');
  const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
  assert.ok(Math.abs(length - 1) < 1e-3, `length of the vector: ${length}`);
}

export const cosine = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

function reason(error) {
  const text = String(error?.message ?? error).split('\n').map((line) => line.trim()).join(' ').slice(0, 600);
  const frame = (error?.stack ?? '').split('\n').find((line) => /cases\/(?!harness)/.test(line));
  const place = frame ? ` [${frame.replace(/^.*cases\//, '').replace(/\)$/, '')}]` : '';
  return `${error?.name ?? 'Error'}: ${text}${place}`;
}

export async function runAll() {
  const wanted = process.argv.slice(2);
  let ran = 0;
  for (const fact of cases) {
    if (wanted.length && !wanted.some((word) => fact.name.includes(word))) continue;
    ran += 1;
    let timer;
    const overdue = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${CASE_SECONDS_MAX} s`)), CASE_SECONDS_MAX * 1000);
    });
    try {
      await Promise.race([fact(), overdue]);
      console.log(`PASS ${fact.name}`);
    } catch (error) {
      console.log(`FAIL ${fact.name}: ${reason(error)}`);
      if (env.QWENDA_CLIENTS_TRACE) console.log(error);
    } finally {
      clearTimeout(timer);
    }
  }
  console.log(`DONE ${ran}`);
  process.exit(0);
}
