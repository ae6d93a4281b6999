// The port of whoever starts and watches this process: systemd, or nobody.

/** Tells the service manager how the service is. Nothing waits for it, and nothing fails when nobody listens. */
export interface Supervisor {
  /** Requests are served, after a start or a reload. `status` is one line for people. */
  ready(status: string): void;
  /** One line for people about what the service does at the moment. */
  status(text: string): void;
  /** The configuration is being read again; `ready` ends it. */
  reloading(): void;
  /** The service ends. */
  stopping(status: string): void;
  /** A start or an end goes on for longer, but makes progress: not to be given up within `ms` from now. */
  extendTimeout(ms: number): void;
}

/** For a process that nobody watches, and for tests. */
export const noSupervisor: Supervisor = { ready() {}, status() {}, reloading() {}, stopping() {}, extendTimeout() {} };
