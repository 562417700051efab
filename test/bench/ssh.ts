/**
 * ssh through the gateway's own process, against HAProxy (one thread, its defaults) and a jump host before the same sshd,
 * in turns, so that whatever else the machine does meets all alike.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPairSync } from 'node:crypto';
import { publicLineOf } from '../../src/gateway/ssh/ssh-keys.ts';
import { missingForSystemTests, must, repository, run, until } from '../e2e/installation.ts';
import type { Benchmark } from './benchmark.ts';
import { freePort, haproxyConfiguration } from './peers.ts';

const rounds = 3;
const megabytes = 1_000;
/** Somebody with a shell, whom every machine has. */
const user = 'root';

interface Doors {
  direct: string[];
  gateway: string[];
  haproxy: string[];
  jump: string[];
}
