/**
 * Network namespaces for tests and benchmarks: each has a name of its own, and is removed with all that runs in it.
 *
 * A device opened "in" a namespace lives there while its descriptor, and the stack on it, stay in this process.
 */

import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { Device } from '../lib/core/device.js';
import type { Env } from '../lib/core/env.js';
import { inNamespace } from '../drivers/native/namespace.js';
import { openTap, type TapOptions } from '../drivers/tap.js';
import { openTun, type TunOptions } from '../drivers/tun.js';
import { removeAtExit, removed } from './leavings.js';

/** What a command printed, and how it ended. */
export interface Ran {
  /** Exit code; 124 if it ran out of time, 127 if there is no such command. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of {@link Namespace.run}. */
export interface RunOptions {
  /** Milliseconds. Default 10,000. */
  readonly timeout?: number;
  readonly input?: string | Uint8Array;
}

/** A network namespace of our own. */
export class Namespace {
  readonly name: string;
  private readonly children = new Set<ChildProcess>();
  private readonly devices: Device[] = [];

  constructor(label = '') {
    this.name = `rxns-${process.pid}-${randomBytes(3).toString('hex')}${label === '' ? '' : `-${label}`}`;
    execFileSync('ip', ['netns', 'add', this.name], { stdio: 'pipe' });
    removeAtExit(this);
    this.ip('link', 'set', 'lo', 'up');
    // Without duplicate detection and router solicitations the kernel sends only what a test asks for.
    this.sysctl('net.ipv6.conf.default.accept_dad', 0);
    this.sysctl('net.ipv6.conf.default.router_solicitations', 0);
  }

  /** Runs `ip` in the namespace and returns what it printed; throws if it failed. */
  ip(...args: readonly string[]): string {
    return execFileSync('ip', ['-n', this.name, ...args], { encoding: 'utf8', stdio: 'pipe', timeout: 5000 });
  }

  /** Sets a kernel parameter of the namespace. */
  sysctl(key: string, value: string | number): void {
    execFileSync('ip', ['netns', 'exec', this.name, 'sysctl', '-qw', `${key}=${value}`], {
      stdio: 'pipe',
      timeout: 5000,
    });
  }

  /** Runs a command in the namespace without blocking this process; never rejects because of its exit code. */
  run(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<Ran> {
    const { timeout = 10_000, input } = options;
    return new Promise((resolve) => {
      const child = execFile(
        'ip',
        ['netns', 'exec', this.name, command, ...args],
        { timeout, killSignal: 'SIGKILL', maxBuffer: 256 * 1024 * 1024, encoding: 'utf8' },
        (error, stdout, stderr) => {
          this.children.delete(child);
          const { code } = error ?? { code: 0 };
          resolve({ code: error?.killed === true ? 124 : typeof code === 'number' ? code : 127, stdout, stderr });
        },
      );
      this.children.add(child);
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input);
    });
  }

  /** Runs a shell line in the namespace; see {@link run}. */
  sh(line: string, options: RunOptions = {}): Promise<Ran> {
    return this.run('bash', ['-c', line], options);
  }

  /** Starts a command that goes on until the namespace is removed, or it ends. */
  start(command: string, args: readonly string[] = []): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.name, command, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.children.add(child);
    child.once('close', () => this.children.delete(child));
    child.on('error', () => undefined);
    return child;
  }

  /** Opens a TAP in the namespace. */
  openTap(options: TapOptions, env: Env): Device {
    return this.keep(openTapIn(this, options, env));
  }

  /** Opens a TUN in the namespace. */
  openTun(options: TunOptions, env: Env): Device {
    return this.keep(inNamespace(this.name, () => openTun(options, env)));
  }

  private keep(device: Device): Device {
    this.devices.push(device);
    return device;
  }

  /** Processes that those that were started left behind would keep our pipes open. */
  private killAll(): void {
    const pids = execFileSync('ip', ['netns', 'pids', this.name], { encoding: 'utf8', stdio: 'pipe', timeout: 5000 });
    for (const pid of pids.split('\n').map(Number)) {
      if (pid === 0 || pid === process.pid) continue;
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  /** Kills what still runs in it, closes what was opened in it, and removes it. */
  remove(): void {
    for (const device of this.devices) void device.close();
    for (const child of this.children) child.kill('SIGKILL');
    this.children.clear();
    this.killAll();
    execFileSync('ip', ['netns', 'del', this.name], { stdio: 'pipe', timeout: 5000 });
    removed(this);
  }
}

/** Opens a TAP in a namespace: this process visits it for the moment of opening, and keeps the descriptor. */
export function openTapIn(namespace: Namespace, options: TapOptions, env: Env): Device {
  return inNamespace(namespace.name, () => openTap(options, env));
}

/** Why tests with namespaces cannot run here, or `undefined`. */
export function whyNoNamespaces(): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync('/dev/net/tun')) return 'needs /dev/net/tun';
  try {
    execFileSync('ip', ['-V'], { stdio: 'ignore' });
  } catch {
    return 'needs iproute2';
  }
  return undefined;
}
