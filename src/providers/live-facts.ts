/** What control knows at this moment and does not store: power as the engine says, health as the gateway says. */
export interface LiveInstance {
  power: 'running' | 'stopped' | 'frozen' | 'absent';
  inRotation: boolean;
  /** Its probes succeed, or it has none. */
  healthy: boolean;
  /** Somebody works on it: no rule takes it away. */
  active: boolean;
  /** What is wrong with its mounts, in words; '' where nothing is. */
  mounts: string;
  /** In words, where it is not in rotation. */
  reason: string;
}

export interface LiveFacts {
  /** By the instance's name in the engine. */
  instance(name: string): LiveInstance | undefined;
}
