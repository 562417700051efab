/** Snapshots of a share that were cut off: its folders with rooms of their own have kept something, and the share itself, which is the last, has not. Pure. */

const shelf = '.snapshots';

/** @param paths of all subvolumes below a share's volume, from there */
export function halfSnapshots(paths: readonly string[]): { room: string; name: string }[] {
  const kept = paths.flatMap((path) => {
    const steps = path.split('/');
    // What is deeper belongs to somebody else.
    return steps.indexOf(shelf) === steps.length - 2
      ? [{ room: steps.slice(0, -2).join('/'), name: steps.at(-1) ?? '' }]
      : [];
  });
  const whole = new Set(kept.filter(({ room }) => room === '').map(({ name }) => name));
  return kept.filter(({ room, name }) => room !== '' && !whole.has(name));
}
