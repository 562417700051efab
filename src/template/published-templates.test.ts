/** Templates that others have published expand as they are. They are read where they lie, and are no part of this project. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isObject, member } from '../core/json.ts';
import { expandTemplate } from './expand.ts';
import { parseLenient } from './parse-lenient.ts';
import { context } from './test-support.ts';

const folder = join(import.meta.dirname, '../../../shared/fixtures/templates');
const missing = existsSync(folder) ? '' : ' (left out: the published templates are not beside this checkout)';
const templates = missing === '' ? readdirSync(folder).filter((name) => /^[^.]+\.json$/.test(name)) : [];

describe.skipIf(missing !== '')(`published templates${missing}`, () => {
  it.each(templates)('%s', (name) => {
    const text = readFileSync(join(folder, name), 'utf8');
    const file = join(folder, name.replace('.json', '.parameters.json'));
    // Their test bed puts a name in the place of these words.
    const values = existsSync(file) ? readFileSync(file, 'utf8').replaceAll('GEN-UNIQUE-', 'unique') : '{}';
    const given = member(parseLenient(values).value, 'parameters');
    const parameters = isObject(given) ? given : {};
    const { resources } = expandTemplate(text, parameters, context);
    expect(resources.length).toBeGreaterThan(0);
    const keys = new Set<string>(resources.map((one) => one.key));
    for (const { dependsOn } of resources) expect(dependsOn.filter((key) => !keys.has(key))).toEqual([]);
  });
});
