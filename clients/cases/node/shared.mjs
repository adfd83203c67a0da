// Requests that several clients send alike.
import assert from 'node:assert/strict';

export const QUESTION = 'Name three colours.';
export const ASK = [{ role: 'user', content: QUESTION }];
export const WEATHER_QUESTION = 'What is the weather in Hangzhou? Use celsius.';
export const WEATHER = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The present weather of a city',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['celsius', 'fahrenheit'] } },
      required: ['city', 'unit'],
      additionalProperties: false,
    },
  },
};
export const NAMED = { type: 'function', function: { name: 'get_weather' } };
export const TOO_LONG = 'tide '.repeat(40_000);

export function checkWeather(args) {
  assert.deepEqual(Object.keys(args).sort(), ['city', 'unit'], JSON.stringify(args));
  assert.equal(typeof args.city, 'string');
  assert.ok(['celsius', 'fahrenheit'].includes(args.unit), args.unit);
}
