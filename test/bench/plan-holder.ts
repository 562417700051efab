/** Holds 10,000 instances with 50,000 people, decides about them for a while, and says how much memory that took. Started by `plan.ts`. */
import { residentKilobytes } from './process-figures.ts';
import { holdWorld, planWorld } from './plan-world.ts';

const held = await holdWorld(100, 100);
const world = planWorld(100, 100);
let most = 0;
for (let pass = 0; pass < 100; pass += 1) {
  world.pass();
  if (pass % 10 === 0) most = Math.max(most, await residentKilobytes(process.pid));
}
process.stdout.write(JSON.stringify({ megabytes: most / 1_000, held: Object.keys(held).length }));
