/** What an instance may be found as; the engine contract uses the same words. */
export type Power = 'running' | 'stopped' | 'frozen';
